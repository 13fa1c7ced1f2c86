//! Threads for parallel loops of a tenth of a millisecond.
//!
//! A training step of a small network consists of dozens of such loops, one after the other. If a
//! pool puts its threads to sleep after each loop, it spends more time on waking them than on
//! work. But threads that never sleep take the core away from other programs. So the threads of
//! this pool spin for [`PATIENCE`] after their last task, and then they sleep.
//!
//! loom, a model checker, checks this file with the tests in `model.rs`.

#[cfg(all(test, loom))]
mod model;
mod sync;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{OnceLock, PoisonError, TryLockError};
use std::time::Duration;
use sync::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, UnsafeCell};
use sync::{Patience, SPINS, spin_loop, yield_now};

/// Time for which an idle thread spins before it sleeps. It is longer than the gaps within a
/// training step.
#[cfg_attr(all(test, loom), expect(dead_code, reason = "loom has no clock"))]
const PATIENCE: Duration = Duration::from_micros(100);

/// Runs `task(0)`, ..., `task(tasks - 1)`, each once, in any order, on all threads of the
/// process's pool. It returns when all are done. The calling thread works too. Only one loop can
/// have the pool. A loop that starts meanwhile, in one of its tasks or in another thread, runs its
/// tasks one after the other.
pub(crate) fn for_each(tasks: usize, task: impl Fn(usize) + Sync) {
    Pool::get().for_each(tasks, task);
}

type Task<'a> = dyn Fn(usize) + Sync + 'a;

struct Pool {
    workers: usize,
    /// The thread whose loop runs holds this lock.
    busy: Mutex<()>,
    /// Whether workers may join the loop, how many have joined, and the loop's number. See
    /// [`OPEN`] and [`LOOP`].
    state: AtomicU64,
    /// The loop's body. Only the holder of `busy` writes it, while no worker has joined. A worker
    /// that finds none ends.
    task: UnsafeCell<Option<*const Task<'static>>>,
    tasks: AtomicUsize,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The number of workers that sleep.
    sleepers: Mutex<usize>,
    wake: Condvar,
}

/// Bit of `state`: workers may join. The bits below it are the number of workers that have joined.
const OPEN: u64 = 1 << 16;
/// The number that is added to `state` for the next loop. The bits above `OPEN` are the loop's
/// number.
const LOOP: u64 = 1 << 17;

// SAFETY: `task` is the only field that is not Sync (and its pointer is not Send) by itself. `run`
// writes it while it holds `busy` and no worker has joined. Workers read it between joining and
// leaving, and `run` waits for them before it returns. So the closure outlives every use.
unsafe impl Sync for Pool {}
// SAFETY: as above.
unsafe impl Send for Pool {}

impl Pool {
    fn get() -> &'static Self {
        static POOL: OnceLock<&'static Pool> = OnceLock::new();
        POOL.get_or_init(|| {
            let workers = candle_core::utils::get_num_threads().max(1) - 1;
            let pool: &'static Self = Box::leak(Box::new(Self::new(workers)));
            for _ in 0..pool.workers {
                // If the system refuses a thread, the other threads do its work.
                let _ = std::thread::Builder::new().name("gan-ops".into()).spawn(move || pool.work());
            }
            pool
        })
    }

    /// A pool for `workers` threads, which call [`Pool::work`].
    fn new(workers: usize) -> Self {
        Self {
            workers,
            busy: Mutex::new(()),
            state: AtomicU64::new(0),
            task: UnsafeCell::new(None),
            tasks: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        }
    }

    fn for_each(&self, tasks: usize, task: impl Fn(usize) + Sync) {
        let busy =
            if tasks > 1 && self.workers > 0 { self.busy.try_lock() } else { Err(TryLockError::WouldBlock) };
        match busy {
            Ok(turn) => self.run(turn, tasks, &task),
            Err(TryLockError::Poisoned(turn)) => self.run(turn.into_inner(), tasks, &task),
            Err(TryLockError::WouldBlock) => (0..tasks).for_each(task),
        }
    }

    fn run(&self, turn: MutexGuard<'_, ()>, tasks: usize, task: &Task<'_>) {
        // SAFETY: only the lifetime changes, and no use outlives this call (see its end).
        let for_ever = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        self.open(tasks, Some(for_ever));
        let mine = catch_unwind(AssertUnwindSafe(|| self.take_tasks(task)));
        self.state.fetch_sub(OPEN, SeqCst);
        let patience = Patience::start();
        while self.state.load(SeqCst) & (OPEN - 1) > 0 {
            // A worker that lost its core to another program needs the core to finish.
            if patience.lasts() { spin_loop() } else { yield_now() }
        }
        let theirs = lock(&self.panic).take();
        // Before the panic goes on, so that it does not poison the lock.
        drop(turn);
        if let Some(panic) = theirs.or(mine.err()) {
            resume_unwind(panic)
        }
    }

    /// Opens a loop, and wakes the workers that sleep. The caller holds `busy`, and the workers of
    /// the last loop have left.
    fn open(&self, tasks: usize, task: Option<*const Task<'static>>) {
        // SAFETY: as said above, no other thread uses `task`.
        self.task.with_mut(|place| unsafe { *place = task });
        self.tasks.store(tasks, SeqCst);
        self.next.store(0, SeqCst);
        self.state.fetch_add(LOOP | OPEN, SeqCst);
        // A worker counts itself and looks at `state` once more under this lock. So it either is
        // counted here, or it sees the loop.
        if *lock(&self.sleepers) > 0 {
            self.wake.notify_all();
        }
    }

    fn take_tasks(&self, task: &Task<'_>) {
        let tasks = self.tasks.load(SeqCst);
        loop {
            let i = self.next.fetch_add(1, SeqCst);
            if i >= tasks {
                return;
            }
            task(i);
        }
    }

    fn work(&self) {
        let mut last = 0;
        loop {
            let state = self.wait_for_loop_after(last);
            last = state / LOOP;
            if self.state.compare_exchange(state, state + 1, SeqCst, SeqCst).is_err() {
                // Another worker has joined meanwhile, or the loop is over.
                last -= 1;
                continue;
            }
            // SAFETY: this worker has joined an open loop, whose task stays until this worker
            // leaves.
            let Some(task) = self.task.with(|task| unsafe { (*task).map(|task| &*task) }) else {
                return;
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take_tasks(task))) {
                *lock(&self.panic) = Some(panic);
            }
            self.state.fetch_sub(1, SeqCst);
        }
    }

    /// Waits for a loop other than `last` to open, and returns its state.
    fn wait_for_loop_after(&self, last: u64) -> u64 {
        let ready = || {
            let state = self.state.load(SeqCst);
            (state & OPEN > 0 && state / LOOP != last).then_some(state)
        };
        let patience = Patience::start();
        while patience.lasts() {
            for _ in 0..SPINS {
                if let Some(state) = ready() {
                    return state;
                }
                spin_loop();
            }
        }
        let mut sleepers = lock(&self.sleepers);
        *sleepers += 1;
        let state = loop {
            match ready() {
                Some(state) => break state,
                None => sleepers = self.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner),
            }
        };
        *sleepers -= 1;
        state
    }
}

/// Locks even after a panic in another thread, because the panic leaves these plain values intact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_task_runs_once_also_from_many_threads_and_within_a_task() {
        let count = || {
            let seen: Vec<_> = (0..100).map(|_| AtomicUsize::new(0)).collect();
            for_each(10, |i| {
                for_each(10, |j| {
                    seen[10 * i + j].fetch_add(1, SeqCst);
                });
            });
            assert!(seen.iter().all(|n| n.load(SeqCst) == 1));
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..300).for_each(|_| count()));
            }
        });
        for_each(0, |_| unreachable!());
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let panics = std::panic::catch_unwind(|| for_each(8, |i| assert!(i != 5, "five")));
        assert!(panics.is_err());
        let sum = AtomicUsize::new(0);
        for_each(8, |i| {
            sum.fetch_add(i, SeqCst);
        });
        assert_eq!(sum.load(SeqCst), 28);
    }

    #[test]
    fn sleeping_workers_wake() {
        for _ in 0..5 {
            std::thread::sleep(3 * PATIENCE);
            let sum = AtomicUsize::new(0);
            for_each(1000, |i| {
                sum.fetch_add(i, SeqCst);
            });
            assert_eq!(sum.load(SeqCst), 499_500);
        }
    }
}
