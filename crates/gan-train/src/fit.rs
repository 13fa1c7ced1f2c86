//! The loop over the steps.

use crate::error::{Result, TrainError};
use crate::examples::Examples;
use crate::observer::Observer;
use crate::trainer::Trainer;
use std::ops::ControlFlow;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It made its last step.
    Complete,
    /// An observer stopped it before its last step.
    Stopped,
}

/// Trains until `steps` steps are done. Steps before a resume count too. `real(step)` returns the
/// real images for the step that follows `step` steps: `[d_steps * B, C, H, W]`, the batches of
/// [`TrainConfig::batches`](crate::TrainConfig::batches). Its error can be that of the data set.
///
/// # Errors
/// Errors of the data ([`TrainError::data`]), of a step and of an observer. After an error, `on_finish` of
/// the observers is not called.
pub fn fit<R: Into<Examples>, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    trainer: &mut Trainer,
    steps: u64,
    mut real: impl FnMut(u64) -> Result<R, E>,
    observers: &mut [&mut dyn Observer],
) -> Result<Outcome> {
    let mut outcome = Outcome::Complete;
    while trainer.steps_done() < steps && outcome == Outcome::Complete {
        let examples = real(trainer.steps_done()).map_err(TrainError::data)?;
        let report = trainer.step(examples)?;
        for observer in observers.iter_mut() {
            if let ControlFlow::Break(()) = observer.on_step(trainer, &report)? {
                outcome = Outcome::Stopped;
            }
        }
    }
    for observer in observers.iter_mut() {
        observer.on_finish(trainer)?;
    }
    // A run that was stopped in its last step is complete.
    Ok(if trainer.steps_done() >= steps { Outcome::Complete } else { outcome })
}
