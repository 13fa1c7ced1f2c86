//! The loop around the step.

use crate::error::Result;
use crate::examples::Examples;
use crate::observer::Observer;
use crate::trainer::Trainer;
use std::ops::ControlFlow;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// After its last step.
    Complete,
    /// By an observer, before.
    Stopped,
}

/// Trains until `steps` steps are done, those before a resume included. `real(step)` gives the real
/// images of the step after `step` steps: `[d_steps * B, C, H, W]`, those of [`TrainConfig::batches`](crate::TrainConfig::batches).
///
/// # Errors
/// Those of the data, of a step and of an observer; observers are not told to finish then.
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
    // Broken off in its last step, it is complete all the same.
    Ok(if trainer.steps_done() >= steps { Outcome::Complete } else { outcome })
}
