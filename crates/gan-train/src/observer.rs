//! Who watches a run: logs, grids, checkpoints, interruptions.

use crate::error::Result;
use crate::trainer::{StepReport, Trainer};
use std::ops::ControlFlow;

/// Sees every step after it is done, and may end the run.
pub trait Observer {
    /// After a step; `Break` ends the run in good order after the other observers have seen it.
    ///
    /// # Errors
    /// Whatever must end the run as a failure.
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>>;

    /// Once, when the run ends in good order, complete or not.
    ///
    /// # Errors
    /// Whatever makes the run a failure.
    fn on_finish(&mut self, trainer: &Trainer) -> Result<()> {
        let _ = trainer;
        Ok(())
    }
}

/// `inner`, shown only the steps that `n` divides; none if `n` is 0.
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
