//! Signals that would end the program in the middle of a file.

use crate::exit::INTERRUPTED;
use anyhow::Result;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Whether a signal has asked the program to end. A command that writes large files looks at it
/// between two pieces, so that its unfinished file is deleted. If it does not look for a second, the program
/// ends all the same, and the file is deleted too.
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
    /// Looks out for Ctrl-C, SIGTERM, SIGHUP and the other signals that end a process, from now on.
    #[cfg(unix)]
    pub(crate) fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let signals = that_end();
        for signal in &signals {
            // This needs no thread, so it also works where the system gives none.
            signal_hook::flag::register(*signal, stop.0.clone())?;
        }
        let mut waiting = signal_hook::iterator::Signals::new(&signals)?;
        let end = move || {
            if waiting.forever().next().is_some() {
                end_after_a_second();
            }
        };
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(end);
        Ok(stop)
    }

    /// Looks out for Ctrl-C and Ctrl-Break from now on. Other signals exist only on Unix.
    #[cfg(not(unix))]
    pub(crate) fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let asked = stop.0.clone();
        ctrlc::set_handler(move || {
            asked.store(true, Ordering::Relaxed);
            end_after_a_second();
        })?;
        Ok(stop)
    }

    /// The error [`Interrupted`] after a signal.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }
}

/// The signals that end a process from outside. A signal that the process ignores stays ignored: `nohup`
/// makes it ignore SIGHUP, and the background of a script SIGINT. A handler would undo that.
#[cfg(unix)]
pub(crate) fn that_end() -> Vec<i32> {
    use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
    let mut signals = vec![SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];
    signals.retain(|signal| !is_ignored(*signal));
    signals
}

/// Number of threads that must not be interrupted now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// While it lives, a signal does not end the program: several files are moved to their places, and a part of
/// them would mean nothing.
pub(crate) struct Uninterrupted(());

impl Uninterrupted {
    pub(crate) fn begin() -> Self {
        BUSY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends the program if its command does not look at the signal soon. It may be reading a large picture, or
/// compute an image of a large network.
fn end_after_a_second() {
    let second = || std::thread::sleep(Duration::from_secs(1));
    second();
    while BUSY.load(Ordering::SeqCst) > 0 {
        second();
    }
    gan_files::abandon();
    tracing::warn!("interrupted");
    std::process::exit(INTERRUPTED.into());
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

/// Memory for [`leave_nothing_unfinished`], which needs some when there is none.
#[cfg(unix)]
static RESERVE: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(vec![]);

/// Deletes unfinished files when the program must end at once. Rust's runtime does this where the system
/// gives no more memory. It has then written one line that says so.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe function handles SIGABRT")]
pub(crate) fn leave_nothing_unfinished() {
    use signal_hook::consts::SIGABRT;
    const RESERVED: usize = 1 << 20;
    if let Ok(mut reserve) = RESERVE.lock() {
        reserve.reserve(RESERVED);
    }
    let end = |info: &libc::siginfo_t| {
        // SAFETY: the signal has a sender, or this is zero.
        if unsafe { info.si_pid() }.cast_unsigned() != std::process::id() {
            let _ = signal_hook::low_level::emulate_default_handler(SIGABRT);
        }
        if let Ok(mut reserve) = RESERVE.try_lock() {
            drop(std::mem::take(&mut *reserve));
        }
        gan_files::abandon();
        let last = b"ERROR the program had to end (see the line above): saved files are whole, and \
                     unfinished ones were deleted\n";
        // SAFETY: the pointer and the length are those of `last`. No lock of the standard library is
        // taken, because the thread may hold it.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, last.as_ptr().cast(), last.len()) };
        signal_hook::low_level::exit(1);
    };
    // SAFETY: the thread that the signal interrupts has called `abort`, so it is not inside the allocator.
    // All else that `end` does needs no lock, or does not wait for it.
    let _ = unsafe { signal_hook_registry::register_sigaction(SIGABRT, end) };
}

#[cfg(not(unix))]
pub(crate) fn leave_nothing_unfinished() {}

/// Whether the process ignores the signal.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe function says how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer changes nothing, and `action` has room for the answer.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } == 0;
    // SAFETY: all zeros are a valid value, and the call may have overwritten them with another.
    known && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
