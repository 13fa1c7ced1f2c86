//! Handles Ctrl-C, SIGTERM and SIGHUP. While the run trains, the first signal lets it finish its step
//! and save. At other times a signal ends the process at once, because the run's files are whole at
//! every moment. The second signal always does.

use crate::exit::INTERRUPTED;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A signal within this time after the first is the same signal: `timeout` sends it to the process
/// and to its group.
const SAME: Duration = Duration::from_millis(200);

/// Ends the run after the step in which a signal came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// A signal has come.
    raised: AtomicBool,
    /// The run saves after a signal.
    saves: AtomicBool,
}

/// While it lives, the run saves after a signal.
pub(super) struct Saves<'a>(&'a Interrupt);

impl Drop for Saves<'_> {
    fn drop(&mut self) {
        self.0.0.saves.store(false, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// Handles the signals from now on.
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self::default();
        let handled = interrupt.clone();
        let mut first: Option<Instant> = None;
        on_signal(move || match first {
            None if !handled.0.saves.load(Ordering::SeqCst) => end("interrupted: nothing was lost"),
            None => {
                first = Some(Instant::now());
                handled.raise();
                tracing::warn!("interrupted: saving after this step (once more to exit at once)");
            }
            Some(first) if first.elapsed() > SAME => end("interrupted again"),
            Some(_) => (),
        })?;
        Ok(interrupt)
    }

    /// From now on the run saves after a signal, until the result is dropped.
    pub(super) fn saves(&self) -> Saves<'_> {
        self.0.saves.store(true, Ordering::SeqCst);
        Saves(self)
    }

    /// Does what a signal does during training.
    pub(super) fn raise(&self) {
        self.0.raised.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_come(&self) -> bool {
        self.0.raised.load(Ordering::Relaxed)
    }
}

fn end(message: &str) -> ! {
    tracing::warn!("{message}");
    std::process::exit(INTERRUPTED.into())
}

/// Calls `react` in a separate thread for each signal.
#[cfg(unix)]
fn on_signal(mut react: impl FnMut() + Send + 'static) -> Result<()> {
    use crate::signals::is_ignored;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // `nohup` makes a process ignore SIGHUP. A handler would undo that.
    let signals =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let react = move || signals.forever().for_each(|_| react());
    std::thread::Builder::new().name("signals".to_owned()).spawn(react)?;
    Ok(())
}

/// Calls `react` in a separate thread for each Ctrl-C or Ctrl-Break. Other signals exist only on
/// Unix.
#[cfg(not(unix))]
fn on_signal(react: impl FnMut() + Send + 'static) -> Result<()> {
    Ok(ctrlc::set_handler(react)?)
}
