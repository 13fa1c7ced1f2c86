//! Work on a thread of its own, so that the program need not wait for its end after a signal.

use crate::threads;
use anyhow::{Result, bail};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two questions whether to give up.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// The result of `work`, or `None` if `gives_up` returns true before the result is there. Then the
/// thread works on until the process ends. If there is no thread to be had, the work is done here,
/// and nobody is asked.
///
/// # Errors
/// A panic of the work.
pub(crate) fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    mut gives_up: impl FnMut() -> bool,
) -> Result<Option<T>> {
    // A thread that fails to start drops its closure, so it does not own the work.
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (sender, receiver) = mpsc::channel();
    let theirs = Arc::clone(&work);
    let run = move || {
        if let Some(work) = take(&theirs) {
            // Without a receiver the result is not needed any more.
            let _ = sender.send(work());
        }
    };
    if !threads::may_start() || std::thread::Builder::new().name("aside".to_owned()).spawn(run).is_err() {
        return Ok(take(&work).map(|work| work()));
    }
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) if gives_up() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => bail!("a thread has ended before its work"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_given_up_or_done() {
        assert_eq!(compute(|| 7, || false).unwrap(), Some(7));
        let endless = || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        };
        let mut asked = 0;
        let gives_up = || {
            asked += 1;
            asked == 2
        };
        assert_eq!(compute::<()>(endless, gives_up).unwrap(), None);
        assert_eq!(asked, 2);
    }
}
