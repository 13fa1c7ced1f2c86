//! The trait for code that follows a run: logs, grids, checkpoints, interruptions.

use crate::error::Result;
use crate::trainer::{StepReport, Trainer};
use std::ops::ControlFlow;

/// Is called after every step, and may end the run.
pub trait Observer {
    /// Is called after a step. `Break` ends the run without an error, after the other observers
    /// were called for the step.
    ///
    /// # Errors
    /// An error ends the run as a failure.
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>>;

    /// Is called once, when the run ends without an error. The run may be complete or stopped.
    ///
    /// # Errors
    /// An error makes the run a failure.
    fn on_finish(&mut self, trainer: &Trainer) -> Result<()> {
        let _ = trainer;
        Ok(())
    }
}

/// Calls `inner` only after the steps that `n` divides. If `n` is 0, it is called after none.
pub fn every<O: Observer>(n: u64, inner: O) -> impl Observer {
    Every { n, inner }
}

struct Every<O> {
    n: u64,
    inner: O,
}

impl<O: Observer> Observer for Every<O> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>> {
        if self.n != 0 && report.step.is_multiple_of(self.n) {
            self.inner.on_step(trainer, report)
        } else {
            Ok(ControlFlow::Continue(()))
        }
    }

    fn on_finish(&mut self, trainer: &Trainer) -> Result<()> {
        self.inner.on_finish(trainer)
    }
}
