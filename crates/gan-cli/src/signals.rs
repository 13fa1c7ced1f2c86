//! Signals that would end the program in the middle of a file.

use anyhow::Result;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal has asked the program to end. A command that writes large files looks at it
/// between two pieces, so that its unfinished file is deleted.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

/// The error of a command that a signal ended.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Stop {
    /// Looks out for Ctrl-C, SIGTERM, SIGHUP and the other signals that end a process from outside from now
    /// on. A signal that the process ignores stays ignored: `nohup` makes it ignore SIGHUP.
    #[cfg(unix)]
    pub(crate) fn on_signals() -> Result<Self> {
        use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
        let stop = Self::default();
        for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU] {
            if !is_ignored(signal) {
                // This needs no thread, so it also works where the system gives none.
                signal_hook::flag::register(signal, stop.0.clone())?;
            }
        }
        Ok(stop)
    }

    /// Looks out for Ctrl-C and Ctrl-Break from now on. Other signals exist only on Unix.
    #[cfg(not(unix))]
    pub(crate) fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let asked = stop.0.clone();
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
        Ok(stop)
    }

    /// The error [`Interrupted`] after a signal.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }
}

/// Makes a write beyond the limit of `ulimit -f` an error like any other. By default its signal
/// ends the process.
#[cfg(unix)]
pub(crate) fn survive_size_limits() {
    // Only the handler matters: the flag is never read. Without a handler, all else still works.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

#[cfg(not(unix))]
pub(crate) fn survive_size_limits() {}

/// Whether the process ignores the signal. `nohup` makes it ignore SIGHUP, and a handler would undo
/// that.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe function says how a signal is handled")]
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer changes nothing, and `action` has room for the answer.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } == 0;
    // SAFETY: all zeros are a valid value, and the call may have overwritten them with another.
    known && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
