//! The networks at one moment, for all that look at them then.

use gan_models::Generator;
use gan_train::{Result, Trainer};
use std::borrow::Cow;

/// A trainer between two steps. Whether its numbers are finite is found out once, and the
/// generator to draw from is made once: an average with batch norm passes eight batches for its
/// statistics.
pub(super) struct Snapshot<'a> {
    trainer: &'a Trainer,
    is_finite: bool,
    sampler: Option<Cow<'a, Generator>>,
}

impl<'a> Snapshot<'a> {
    pub(super) fn of(trainer: &'a Trainer) -> Self {
        Self { trainer, is_finite: false, sampler: None }
    }

    pub(super) fn step(&self) -> u64 {
        self.trainer.steps_done()
    }

    /// The trainer, whose weights are all finite.
    pub(super) fn trainer(&mut self) -> Result<&'a Trainer> {
        if !self.is_finite {
            self.trainer.check_finite()?;
            self.is_finite = true;
        }
        Ok(self.trainer)
    }

    /// The generator to draw from: the average of its states if there is one, else its present
    /// state.
    pub(super) fn sampler(&mut self) -> Result<&Cow<'a, Generator>> {
        let trainer = self.trainer()?;
        let sampler = match self.sampler.take() {
            Some(sampler) => sampler,
            None => trainer.sampler()?,
        };
        Ok(&*self.sampler.insert(sampler))
    }
}
