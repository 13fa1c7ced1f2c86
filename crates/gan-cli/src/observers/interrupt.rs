//! Ctrl-C and SIGTERM: the step is finished and saved; the second one exits at once.

use crate::exit::INTERRUPTED;
use anyhow::Result;
use gan_train::{Observer, StepReport, Trainer};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the run after the step in which a signal came.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over the process's signals.
    pub(crate) fn install() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = flag.clone();
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED.into());
            }
            tracing::warn!("interrupted: saving after this step (once more to exit at once)");
        })?;
        Ok(Self(flag))
    }
}

impl Observer for Interrupt {
    fn on_step(&mut self, _: &Trainer, _: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        Ok(if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
