//! What the pool takes from the standard library. For the model checker, all of it is loom's.
//!
//! loom runs a test once for each order in which its threads could take turns and for each value
//! that an atomic load could see. It has no clock, so its version of [`Patience`] counts.

#[cfg(all(test, loom))]
pub(super) use self::model::{Patience, SPINS};
#[cfg(not(all(test, loom)))]
pub(super) use self::real::{Patience, SPINS, UnsafeCell};
#[cfg(all(test, loom))]
pub(super) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicU64, AtomicUsize},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(all(test, loom)))]
pub(super) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, AtomicUsize},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};

#[cfg(not(all(test, loom)))]
mod real {
    use super::super::PATIENCE;
    use std::time::Instant;

    /// The number of looks at the state for one look at the clock.
    pub(in super::super) const SPINS: usize = 32;

    /// The time in which a waiting thread spins.
    pub(in super::super) struct Patience(Instant);

    impl Patience {
        pub(in super::super) fn start() -> Self {
            Self(Instant::now())
        }

        pub(in super::super) fn lasts(&self) -> bool {
            self.0.elapsed() < PATIENCE
        }
    }

    /// `std`'s cell with the methods of loom's, which notices an access at the wrong time.
    pub(in super::super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(in super::super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        pub(in super::super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use std::cell::Cell;

    pub(in super::super) const SPINS: usize = 1;

    /// It lasts for one look. A second one would add orders to explore, and no new situation.
    pub(in super::super) struct Patience(Cell<bool>);

    impl Patience {
        pub(in super::super) fn start() -> Self {
            Self(Cell::new(true))
        }

        pub(in super::super) fn lasts(&self) -> bool {
            self.0.replace(false)
        }
    }
}
