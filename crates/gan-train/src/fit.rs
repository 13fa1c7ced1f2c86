//! The loop over the steps.

use crate::error::Result;
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
/// [`TrainConfig::batches`](crate::TrainConfig::batches).
///
/// # Errors
/// Errors of the data, of a step and of an observer. After an error, `on_finish` of the observers
/// is not called.
pub fn fit<E: Into<Examples>>(
    trainer: &mut Trainer,
    steps: u64,
    mut real: impl FnMut(u64) -> Result<E>,
    observers: &mut [&mut dyn Observer],
) -> Result<Outcome> {
    let mut outcome = Outcome::Complete;
    while trainer.steps_done() < steps && outcome == Outcome::Complete {
        let report = trainer.step(real(trainer.steps_done())?)?;
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
