//! The length of a run in steps, epochs and images.

use super::TrainConfig;
use crate::error::{Result, TrainError};
use std::ops::Range;

/// Length of a run in the unit of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A number of steps.
    Steps(u64),
    /// A number of passes over the data.
    Epochs(u64),
}

/// Length of a run over data of a known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Number of steps in the run.
    pub steps: u64,
    batches_per_epoch: u64,
    batches_per_step: u64,
}

impl Horizon {
    /// Number of passes over the data in `step` steps.
    #[must_use]
    pub fn epochs(&self, step: u64) -> f64 {
        (step * self.batches_per_step) as f64 / self.batches_per_epoch as f64
    }
}

impl TrainConfig {
    /// Length of the run.
    ///
    /// # Errors
    /// Neither or both of `steps` and `epochs`; a length of zero.
    pub fn length(&self) -> Result<Length> {
        match (self.steps, self.epochs) {
            (Some(0), _) | (_, Some(0)) => {
                let field = if self.steps == Some(0) { "train.steps" } else { "train.epochs" };
                Err(TrainError::config(field, "expected at least 1, found 0"))
            }
            (Some(steps), None) => Ok(Length::Steps(steps)),
            (None, Some(epochs)) => Ok(Length::Epochs(epochs)),
            (None, None) => {
                Err(TrainError::config("train.steps", "expected train.steps or train.epochs, found neither"))
            }
            (Some(_), Some(_)) => {
                Err(TrainError::config("train.steps", "expected train.steps or train.epochs, found both"))
            }
        }
    }

    /// Length of the run over data with `batches_per_epoch` batches. The last step may go past
    /// the end of the last epoch.
    ///
    /// # Errors
    /// Errors of [`Self::length`]; a run longer than 2^64 steps.
    pub fn horizon(&self, batches_per_epoch: u64) -> Result<Horizon> {
        let batches_per_step = self.d_steps;
        let steps = match self.length()? {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs
                .checked_mul(batches_per_epoch)
                .ok_or_else(|| TrainError::config("train.epochs", format!("{epochs} is too many")))?
                .div_ceil(batches_per_step),
        };
        Ok(Horizon { steps, batches_per_epoch, batches_per_step })
    }

    /// The batches of real images for the step that follows `step` steps. There is one for each
    /// update of D.
    #[must_use]
    pub fn batches(&self, step: u64) -> Range<u64> {
        step * self.d_steps..(step + 1) * self.d_steps
    }

    /// Number of real images in a step on batches of `batch_size`. All settings that count images
    /// count these.
    #[must_use]
    pub fn images_per_step(&self, batch_size: usize) -> usize {
        self.d_steps as usize * batch_size
    }

    /// Number of images in a batch, computed from the numbers of real images and of latents in a
    /// step.
    pub(crate) fn batch_size(&self, real: usize, latents: usize) -> Result<usize> {
        let (d_steps, latent_batches) = (self.d_steps as usize, self.latent_batches());
        let batch = real / d_steps;
        let wrong = |what, expected, found| Err(TrainError::Batch { what, expected, found });
        if batch == 0 || batch * d_steps != real {
            return wrong("real images", format!("a positive multiple of train.d-steps = {d_steps}"), real);
        }
        if latents != latent_batches * batch {
            let expected = format!("{latent_batches} for each of {batch}, (d-steps + g-steps - 1) * B");
            return wrong("latents", expected, latents);
        }
        Ok(batch)
    }

    /// Number of images that are computed at once, if `ranks` ranks share a batch of `batch_size`.
    ///
    /// # Errors
    /// A batch that cannot be divided evenly among the ranks and into parts.
    pub fn part_size(&self, batch_size: usize, ranks: usize) -> Result<usize> {
        let accumulate = self.accumulate as usize;
        if !batch_size.is_multiple_of(ranks) {
            let problem = format!("expected a multiple of the {ranks} ranks, found {batch_size}");
            return Err(TrainError::config("data.batch-size", problem));
        }
        let share = batch_size / ranks;
        if !share.is_multiple_of(accumulate) {
            let whose = if ranks > 1 { "a rank's share of a batch" } else { "a batch" };
            let problem = format!("expected a divisor of the {share} images in {whose}, found {accumulate}");
            return Err(TrainError::config("train.accumulate", problem));
        }
        Ok(share / accumulate)
    }

    /// Number of batches of latents in a step. G's first update uses the images of D's last
    /// update, so both need only one batch.
    pub(crate) fn latent_batches(&self) -> usize {
        (self.d_steps + self.g_steps - 1) as usize
    }
}
