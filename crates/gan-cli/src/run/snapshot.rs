//! The networks after one step, for all that use them at that moment.

use gan_models::Generator;
use gan_train::{Result, Trainer};
use std::borrow::Cow;

/// A trainer between two steps. It checks only once whether all weights are finite, and makes the
/// generator to draw from only once. An average of a network with batch norm needs eight batches
/// for its statistics.
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

    /// The trainer, after a check that its weights are finite.
    pub(super) fn trainer(&mut self) -> Result<&'a Trainer> {
        if !self.is_finite {
            self.trainer.check_finite()?;
            self.is_finite = true;
        }
        Ok(self.trainer)
    }

    /// The generator to draw from: the average of its weights if there is one, else its present
    /// weights.
    pub(super) fn sampler(&mut self) -> Result<&Cow<'a, Generator>> {
        let trainer = self.trainer()?;
        let sampler = match self.sampler.take() {
            Some(sampler) => sampler,
            None => trainer.sampler()?,
        };
        Ok(&*self.sampler.insert(sampler))
    }
}
