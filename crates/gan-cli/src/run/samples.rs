//! Draws images from fixed latents, so that one can watch them develop.

use super::{Event, Interrupt, Plan, Sinks, Snapshot};
use crate::aside;
use crate::config::Every;
use crate::draw;
use crate::ranks::{Leader, Weights};
use anyhow::Result;
use candle_core::Tensor;
use gan_data::Grid;
use gan_models::Generator;
use gan_ops::rng::Stream;
use gan_train::Trainer;

/// After a signal, the run waits a second for its images before it gives them up: twenty times
/// [`aside::PATIENCE`].
const AFTER_A_SIGNAL: u32 = 20;

/// Draws from the same latents at intervals, and at the end.
pub(super) struct Samples {
    every: Every,
    latents: Tensor,
    interrupt: Interrupt,
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
                let labels: Vec<u16> = (0..count).map(|i| (i % in_turn % classes) as u16).collect();
                latents.draw_of(&mut stream, &labels, device)?
            }
            None => latents.draw(&mut stream, count, device)?,
        };
        let (every, interrupt) = (plan.config.reporting.sample_every, plan.interrupt.clone());
        Ok(Self { every, latents, interrupt, drawn: None })
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        self.every.falls_on(step)
    }

    /// Whether the images of this step have been drawn, or given up.
    pub(super) fn has_drawn(&self, step: u64) -> bool {
        self.drawn == Some(step)
    }

    /// Draws the images, unless this takes long and a signal comes. The other ranks of `leader` help, and then
    /// it waits for the end.
    pub(super) fn draw(
        &mut self,
        now: &mut Snapshot<'_>,
        leader: &Leader,
        sinks: &mut Sinks,
    ) -> Result<Drawn> {
        let (step, sampler, latents) = (now.step(), Generator::clone(now.sampler()?), self.latents.clone());
        let shared = match leader.group().size() {
            1 => None,
            _ => Some(leader.generate(&sampler, Weights::Average, &latents)?),
        };
        let picture = move || -> Result<_> {
            let images = shared.map_or_else(|| sampler.generate(&latents), Ok)?;
            Ok(Grid::new(&images, draw::columns(images.dim(0)?))?.to_png()?)
        };
        self.drawn = Some(step);
        let mut patience = AFTER_A_SIGNAL;
        let gives_up = || {
            let asked = self.interrupt.has_come();
            patience = patience.saturating_sub(u32::from(asked));
            asked && patience == 0
        };
        match aside::compute(picture, gives_up)?.transpose()? {
            Some(png) => {
                sinks.hear(&Event::Drawn { step, png: &png })?;
                Ok(Drawn::Whole)
            }
            None => Ok(Drawn::GivenUp),
        }
    }
}

/// What became of the images of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    Whole,
    /// A signal came. The run has to draw them when it continues, if they were due.
    GivenUp,
}
