//! Threads, where the system gives too few.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether all work is done on the main thread. rayon's only thread is then the main thread too.
static ALONE: AtomicBool = AtomicBool::new(false);

/// The number of threads to use: `wanted`, or one if the system refuses to start so many. Then all
/// work is done on the calling thread. Call it while there is no other thread.
pub(crate) fn available(wanted: Option<NonZero<usize>>) -> Threads {
    let from_environment = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok();
    let cores = || std::thread::available_parallelism().ok();
    let count = wanted.or_else(from_environment).or_else(cores).map_or(1, NonZero::get);
    // rayon and the kernels each start so many.
    if can_start(2 * count) {
        return Threads { count: wanted, refused: false };
    }
    // Without this, rayon would try to start a thread at its first use, and panic.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    // It fails only if rayon has started already.
    let _ = alone.build_global();
    ALONE.store(true, Ordering::Relaxed);
    Threads { count: Some(NonZero::<usize>::MIN), refused: true }
}

pub(crate) struct Threads {
    pub(crate) count: Option<NonZero<usize>>,
    /// Whether the system refused to start threads.
    pub(crate) refused: bool,
}

/// Whether work may be given to another thread. If rayon has only the main thread, the other thread
/// would wait for it, and the main thread for the other.
pub(crate) fn may_start() -> bool {
    !ALONE.load(Ordering::Relaxed)
}

/// Whether `count` threads can run at the same time. They have ended when this returns.
fn can_start(count: usize) -> bool {
    // A thread that starts when the address space is almost used up has a stack, but no place for the
    // handler of its overflow. The standard library then ends the process. So the space is asked for first.
    const SPACE: usize = (2 << 20) + (1 << 18);
    // The compiler may leave out memory that nobody uses.
    let mut space = std::hint::black_box(Vec::<u8>::new());
    if space.try_reserve_exact(count.saturating_mul(SPACE)).is_err() {
        return false;
    }
    let gate = Mutex::new(());
    let closed = gate.lock();
    std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).is_ok();
        let all = (0..count).all(start);
        drop(closed);
        all
    })
}
