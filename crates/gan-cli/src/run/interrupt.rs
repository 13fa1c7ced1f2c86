//! Ctrl-C and SIGTERM: the step is finished and saved; the second one exits at once.

use crate::exit::INTERRUPTED;
use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A signal so soon after the first is the same one: `timeout` sends it to the process and to its
/// group.
const SAME: Duration = Duration::from_millis(200);

/// Ends the run after the step in which a signal came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over Ctrl-C and SIGTERM. SIGHUP stays as it is: `nohup` has it ignored.
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            let mut first: Option<Instant> = None;
            for _ in signals.forever() {
                match first {
                    None => {
                        first = Some(Instant::now());
                        raised.raise();
                        tracing::warn!("interrupted: saving after this step (once more to exit at once)");
                    }
                    Some(first) if first.elapsed() > SAME => std::process::exit(INTERRUPTED.into()),
                    Some(_) => (),
                }
            }
        });
        Ok(interrupt)
    }

    /// As a signal does.
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
