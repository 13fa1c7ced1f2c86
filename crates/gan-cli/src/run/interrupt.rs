//! Handles Ctrl-C, SIGTERM, SIGHUP and the other signals that end a process. While the run trains, the
//! first signal lets it finish its step and save. At other times a signal ends the process at once,
//! because the run's files are whole at every moment. The second signal always does.

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

#[derive(Debug)]
struct Flags {
    /// A signal has come.
    raised: Arc<AtomicBool>,
    /// A signal ends the process at once, because the run would save nothing after it.
    ends: Arc<AtomicBool>,
}

impl Default for Flags {
    fn default() -> Self {
        Self { raised: Arc::default(), ends: Arc::new(AtomicBool::new(true)) }
    }
}

/// While it lives, the run saves after a signal.
pub(crate) struct Saves<'a>(&'a Interrupt);

impl Drop for Saves<'_> {
    fn drop(&mut self) {
        self.0.0.ends.store(true, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// Handles the signals from now on.
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self::default();
        let handled = interrupt.clone();
        let mut first: Option<Instant> = None;
        let react = move || match first {
            None if handled.0.ends.load(Ordering::SeqCst) => {
                gan_files::abandon();
                end("interrupted: nothing was lost");
            }
            None => {
                first = Some(Instant::now());
                handled.raise();
                tracing::warn!("interrupted: saving after this step (once more to exit at once)");
            }
            Some(first) if first.elapsed() > SAME => end("interrupted again"),
            Some(_) => (),
        };
        on_signal(react, &interrupt.0)?;
        Ok(interrupt)
    }

    /// From now on the run saves after a signal, until the result is dropped.
    pub(crate) fn saves(&self) -> Saves<'_> {
        self.0.ends.store(false, Ordering::SeqCst);
        Saves(self)
    }

    /// Does what a signal does during training.
    pub(super) fn raise(&self) {
        self.0.raised.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_come(&self) -> bool {
        self.0.raised.load(Ordering::Relaxed)
    }
}

fn end(message: &str) -> ! {
    tracing::warn!("{message}");
    std::process::exit(INTERRUPTED.into())
}

/// Calls `react` in a separate thread for each signal. If the system gives no thread, the signals
/// set the flags, or end the process, in silence.
#[cfg(unix)]
fn on_signal(mut react: impl FnMut() + Send + 'static, flags: &Flags) -> Result<()> {
    use signal_hook::flag::{register, register_conditional_default};
    let signals = crate::signals::that_end();
    let mut waiting = signal_hook::iterator::Signals::new(&signals)?;
    let react = move || waiting.forever().for_each(|_| react());
    if std::thread::Builder::new().name("signals".to_owned()).spawn(react).is_err() {
        for signal in signals {
            register_conditional_default(signal, flags.ends.clone())?;
            register(signal, flags.raised.clone())?;
        }
    }
    Ok(())
}

/// Calls `react` in a separate thread for each Ctrl-C or Ctrl-Break. Other signals exist only on
/// Unix.
#[cfg(not(unix))]
fn on_signal(react: impl FnMut() + Send + 'static, _: &Flags) -> Result<()> {
    Ok(ctrlc::set_handler(react)?)
}
