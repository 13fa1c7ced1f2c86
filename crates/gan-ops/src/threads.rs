//! How many threads the CPU code of candle and of this crate uses.

use std::num::NonZero;

/// Settles the thread counts of candle and of this crate's kernels for this process: `threads` (if `None`, `RAYON_NUM_THREADS` or else all
/// cores) for products, convolutions and the kernels, one for element-wise operations unless the user set
/// `CANDLE_NUM_THREADS`.
///
/// Where `RAYON_NUM_THREADS` is not set, candle counts the cores anew, from a file, in every single
/// matrix product.
///
/// candle runs large element-wise operations on threads that spin while they wait, beside the threads
/// of its matrix products: on candle's own operations a small DCGAN's step on two cores takes about 15%
/// longer with them, more when another program needs a core.
///
/// # Safety
/// It sets environment variables: call it first in `main`, while no other thread exists that could read or write
/// the environment.
#[expect(unsafe_code, reason = "candle reads its thread counts from the environment and nowhere else")]
pub unsafe fn settle(threads: Option<NonZero<usize>>) {
    let set = |name, value: String| {
        // SAFETY: the caller vouches that there is no other thread.
        unsafe { std::env::set_var(name, value) }
    };
    if let Some(threads) = threads {
        set("RAYON_NUM_THREADS", threads.to_string());
    } else if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        set("RAYON_NUM_THREADS", cores.to_string());
    }
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        set("CANDLE_NUM_THREADS", "1".to_owned());
    }
}
