//! The number of threads that the CPU code of candle and of this crate uses.

use std::num::NonZero;

/// Settles the thread counts of candle and of this crate's kernels for this process.
///
/// Products, convolutions and the kernels get `threads` threads. If it is `None`, they get the
/// number in `RAYON_NUM_THREADS`, or else all cores. Element-wise operations get one thread,
/// unless the user set `CANDLE_NUM_THREADS`.
///
/// If `RAYON_NUM_THREADS` is not set, candle counts the cores again in every single matrix
/// product, and for this it reads a file.
///
/// candle runs large element-wise operations on threads that spin while they wait. They run beside
/// the threads of its matrix products. With them, a step of a small DCGAN on two cores takes about
/// 15% longer (on candle's own operations), and more if another program needs a core.
///
/// # Safety
/// It sets environment variables. Call it first in `main`, while no other thread exists that could
/// read or write the environment.
#[expect(unsafe_code, reason = "candle reads its thread counts from the environment and nowhere else")]
pub unsafe fn settle(threads: Option<NonZero<usize>>) {
    let set = |name, value: String| {
        // SAFETY: the caller guarantees that there is no other thread.
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
