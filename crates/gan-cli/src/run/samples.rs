//! Draws images from fixed latents, so that one can watch them develop.

use super::{Event, Plan, Sinks, Snapshot};
use crate::config::Every;
use crate::draw;
use anyhow::Result;
use candle_core::Tensor;
use gan_ops::rng::Stream;
use gan_train::Trainer;

/// Draws from the same latents at intervals, and at the end.
pub(super) struct Samples {
    every: Every,
    latents: Tensor,
    /// The step at which the last images were drawn.
    drawn: Option<u64>,
}

impl Samples {
    pub(super) fn open(plan: &Plan, trainer: &Trainer) -> Result<Self> {
        let (generator, count) = (trainer.generator(), plan.config.reporting.sample_count);
        let (latents, device) = (generator.config().latents(), generator.device());
        let mut stream = Stream::new(trainer.seed(), "samples", 0);
        let latents = match latents.classes() {
            // In a square grid, each column has one class if there are enough columns.
            Some(classes) => {
                let columns = draw::columns(count);
                let in_turn = if columns < classes { count } else { columns };
                let labels: Vec<u8> = (0..count).map(|i| (i % in_turn % classes) as u8).collect();
                latents.draw_of(&mut stream, &labels, device)?
            }
            None => latents.draw(&mut stream, count, device)?,
        };
        Ok(Self { every: plan.config.reporting.sample_every, latents, drawn: None })
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        self.every.falls_on(step)
    }

    pub(super) fn has_drawn(&self, step: u64) -> bool {
        self.drawn == Some(step)
    }

    pub(super) fn draw(&mut self, now: &mut Snapshot<'_>, sinks: &mut Sinks) -> Result<()> {
        let (step, images) = (now.step(), now.sampler()?.generate(&self.latents)?);
        sinks.hear(&Event::Drawn { step, images: &images })?;
        self.drawn = Some(step);
        Ok(())
    }
}
