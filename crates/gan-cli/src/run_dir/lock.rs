//! The lock of a run: the process that trains it holds it.

#[cfg(feature = "board")]
use super::is_own;
use std::fs::{File, TryLockError};
#[cfg(feature = "board")]
use std::path::Path;
use std::time::Duration;

/// Takes a lock. Who looks whether a run trains ([`is_training`]) holds it for a moment.
pub(super) fn take(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            taken => return taken,
        }
    }
    lock.try_lock()
}

/// Whether a process trains the run now, which it locks then. `None` if the file system has no locks.
#[cfg(feature = "board")]
pub(crate) fn is_training(run: &Path) -> Option<bool> {
    let file = run.join(".lock");
    if !is_own(run, &file) {
        return Some(false);
    }
    match File::open(file).ok()?.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}
