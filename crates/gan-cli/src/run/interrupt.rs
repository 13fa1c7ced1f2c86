//! Handles Ctrl-C and SIGTERM. After the first signal the run finishes its step and saves it. The
//! second signal ends the process at once.

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
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Handles Ctrl-C and SIGTERM from now on. SIGHUP stays unchanged, because `nohup` makes the
    /// process ignore it.
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        let mut first: Option<Instant> = None;
        on_signal(move || match first {
            None => {
                first = Some(Instant::now());
                raised.raise();
                tracing::warn!("interrupted: saving after this step (once more to exit at once)");
            }
            Some(first) if first.elapsed() > SAME => std::process::exit(INTERRUPTED.into()),
            Some(_) => (),
        })?;
        Ok(interrupt)
    }

    /// Does what a signal does.
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Calls `react` in a separate thread for each signal.
#[cfg(unix)]
fn on_signal(mut react: impl FnMut() + Send + 'static) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || signals.forever().for_each(|_| react()));
    Ok(())
}

/// Calls `react` in a separate thread for each Ctrl-C or Ctrl-Break. Other signals exist only on
/// Unix.
#[cfg(not(unix))]
fn on_signal(react: impl FnMut() + Send + 'static) -> Result<()> {
    Ok(ctrlc::set_handler(react)?)
}
