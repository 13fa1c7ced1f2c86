//! The pool under loom, which runs each test in every order in which the threads can take turns,
//! up to a number of preemptions (`LOOM_MAX_PREEMPTIONS`). CONTRIBUTING.md has the command.
//!
//! loom fails a test if a cell is used by two threads without an order between them, if all
//! threads wait (so also if a worker sleeps through a loop: then [`with_workers`] waits for it
//! for ever), and if an assertion fails. It treats `SeqCst` as acquire and release. So the pool
//! passes only because it does not need the single order of all `SeqCst` accesses.

use super::Pool;
use loom::cell::UnsafeCell;
use loom::thread;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A number without synchronisation, in which loom notices accesses without an order.
struct Plain(UnsafeCell<usize>);

// SAFETY: loom fails the test before two threads use the number at the same time.
unsafe impl Sync for Plain {}

impl Plain {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn increase(&self) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|number| unsafe { *number += 1 });
    }

    fn get(&self) -> usize {
        // SAFETY: as for `Sync`.
        self.0.with(|number| unsafe { *number })
    }
}

/// Runs `body` with a pool of `workers` threads, in every order. Then it ends the threads with a
/// loop that has no body, for which each of them has to wake up.
fn with_workers(workers: usize, body: impl Fn(&Arc<Pool>) + Send + Sync + 'static) {
    loom::model(move || {
        let pool = Arc::new(Pool::new(workers));
        let start = || {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.work())
        };
        let threads: Vec<_> = (0..workers).map(|_| start()).collect();
        body(&pool);
        let turn = pool.busy.try_lock();
        assert!(turn.is_ok(), "no loop runs");
        pool.open(0, None);
        for thread in threads {
            assert!(thread.join().is_ok(), "a worker never panics");
        }
        drop(turn);
    });
}

/// Runs a loop of `tasks` tasks and checks that each of them ran once and has ended. The counts
/// are on this thread's stack, and its reads need the order that the end of the loop gives.
fn check_loop(pool: &Pool, tasks: usize) {
    let counts: Vec<_> = (0..tasks).map(|_| Plain::new()).collect();
    pool.for_each(tasks, |i| counts[i].increase());
    assert!(counts.iter().all(|count| count.get() == 1));
}

#[test]
fn each_task_runs_once_and_ends_before_the_loop_does() {
    with_workers(1, |pool| check_loop(pool, 3));
    with_workers(2, |pool| check_loop(pool, 2));
}

#[test]
fn a_late_worker_takes_no_task_of_another_loop() {
    with_workers(1, |pool| {
        check_loop(pool, 2);
        check_loop(pool, 2);
        check_loop(pool, 2);
    });
    with_workers(2, |pool| {
        check_loop(pool, 2);
        check_loop(pool, 2);
    });
}

#[test]
fn a_loop_within_a_task_runs_on_its_thread() {
    with_workers(1, |pool| {
        let counts: [_; 4] = std::array::from_fn(|_| Plain::new());
        pool.for_each(2, |i| {
            let thread = thread::current().id();
            pool.for_each(2, |j| {
                assert_eq!(thread::current().id(), thread);
                counts[2 * i + j].increase();
            });
        });
        assert!(counts.iter().all(|count| count.get() == 1));
    });
}

#[test]
fn loops_of_two_threads_do_not_mix() {
    with_workers(1, |pool| {
        let other = Arc::clone(pool);
        let other = thread::spawn(move || check_loop(&other, 2));
        check_loop(pool, 2);
        other.join().expect("its loop passes");
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    with_workers(1, |pool| {
        // It does not call the hook for panics, which would print each of them.
        let panics = |i| {
            if i == 1 {
                resume_unwind(Box::new("one"))
            }
        };
        let caught = catch_unwind(AssertUnwindSafe(|| pool.for_each(3, panics)));
        assert_eq!(message(&caught), Some("one"));
        check_loop(pool, 2);
    });
}

#[test]
fn panics_in_two_threads_reach_the_caller_as_one() {
    with_workers(1, |pool| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(2, |_| resume_unwind(Box::new("each")));
        }));
        assert_eq!(message(&caught), Some("each"));
        check_loop(pool, 2);
    });
}

/// The words of our own panic. One of loom's has others.
fn message(caught: &Result<(), Box<dyn Any + Send>>) -> Option<&'static str> {
    caught.as_ref().err()?.downcast_ref().copied()
}
