//! Ctrl-C and SIGTERM: the step is finished and saved; the second one exits at once.

use crate::exit::INTERRUPTED;
use anyhow::Result;
use gan_train::{Observer, StepReport, Trainer};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the run after the step in which a signal came.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over Ctrl-C and SIGTERM. SIGHUP stays as it is: `nohup` has it ignored.
    pub(crate) fn install() -> Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_shutdown(signal, INTERRUPTED.into(), seen.clone())?;
            flag::register(signal, seen.clone())?;
        }
        Ok(Self(seen))
    }
}

impl Observer for Interrupt {
    fn on_step(&mut self, _: &Trainer, _: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        if self.0.load(Ordering::Relaxed) {
            tracing::warn!("interrupted: saving (once more to exit at once)");
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }
}
