//! What the updates of one step share.

use super::finite;
use super::parts::{Division, Part};
use super::updates::{Judged, Seen};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::examples::Examples;
use crate::group::Group;
use crate::views::Views;
use candle_core::Tensor;
use gan_models::{Batch, Discriminator, Generator, Gradients};

/// Both players, the configuration, and the images and latents of one step.
pub(super) struct Game<'a> {
    pub(super) generator: &'a Generator,
    pub(super) discriminator: &'a Discriminator,
    pub(super) config: &'a TrainConfig,
    pub(super) group: &'a dyn Group,
    pub(super) division: Division,
    /// This rank's real images for D's updates, one batch after the other.
    pub(super) examples: &'a Examples,
    /// This rank's latents: `[(d_steps + g_steps - 1) * B, latent_dim]`.
    pub(super) z: &'a Tensor,
    pub(super) seed: u64,
    /// Number of real images of all ranks before the step.
    pub(super) images: u64,
    /// Number of the step, from 1.
    pub(super) step: u64,
}

impl<'a> Game<'a> {
    /// The real images of a part of batch `i`.
    pub(super) fn real(&self, part: Part, i: u64) -> Result<Seen<'a>> {
        let rows = self.division.rows(part, i);
        let images = self.examples.images.narrow(0, rows.start, rows.len())?;
        let labels = self.examples.labels.as_ref().map(|labels| &labels[rows]);
        Ok(Seen { images: Batch::new(&images)?, labels })
    }

    /// The latents of a part of batch `i`, with the classes of real images.
    pub(super) fn latents(&self, part: Part, i: u64, labels: Option<&[u16]>) -> Result<Batch> {
        let rows = self.division.rows(part, i);
        let z = self.z.narrow(0, rows.start, rows.len())?;
        Ok(match labels {
            Some(labels) => {
                self.generator.latents(&self.generator.config().latents().with_labels(&z, labels)?)?
            }
            None => self.generator.latents(&z)?,
        })
    }

    /// The changes to the images of a part.
    pub(super) fn views(&self, part: Part) -> Views<'a> {
        let shape = self.generator.config().image_shape();
        Views { config: self.config, seed: self.seed, shape, images: self.images, part }
    }

    /// The standard deviation of the pixels of all real images of batch `i` as D sees them in an update.
    pub(super) fn deviation(&self, whose: &str, update: u64, i: u64) -> Result<f32> {
        let mut pixels = vec![];
        for part in self.division.parts() {
            let real = self.real(part, i)?;
            let shown = self.views(part).draw(whose, update)?.show(&real.images)?.to_tensor()?;
            pixels.push(shown.flatten_all()?);
        }
        let pixels = Tensor::cat(&pixels, 0)?;
        let over_ranks = |mean: f32| -> Result<f32> {
            let mut mean = [mean / self.group.size() as f32];
            self.group.all_reduce(&mut mean)?;
            Ok(mean[0])
        };
        let mean = over_ranks(pixels.mean_all()?.to_scalar()?)?;
        let squares = (pixels - f64::from(mean))?.sqr()?.mean_all()?.to_scalar()?;
        Ok(over_ranks(squares)?.sqrt())
    }

    /// Adds the gradients and the measurements of all ranks. Each rank has added those of its parts.
    pub(super) fn add_ranks(&self, gradients: &mut Gradients, judged: &mut Judged) -> Result<()> {
        let ranks = self.group.size();
        if ranks == 1 {
            return Ok(());
        }
        // Gradients of candle's tape are tensors, and may be on a card.
        let on_tape = gradients.to_tensor()?;
        let count = if on_tape.is_some() { 0 } else { gradients.layout().count() };
        // The largest logit of each rank has a place of its own, where the others have 0.
        let mut values = vec![0.; count + 4 + ranks];
        if on_tape.is_none() {
            gradients.read_flat(&mut values[..count])?;
        }
        let certainty = judged.certainty.unwrap_or_default();
        values[count..][..4].copy_from_slice(&[judged.loss, judged.penalty, certainty[0], certainty[1]]);
        values[count + 4 + self.group.rank()] = judged.largest_logit;
        self.group.all_reduce(&mut values)?;
        match on_tape {
            Some(own) => gradients.set_tensor(&self.group.all_reduce_tensor(&own)?)?,
            None => gradients.write_flat(&values[..count])?,
        }
        judged.loss = values[count];
        judged.penalty = values[count + 1];
        judged.certainty = judged.certainty.map(|_| [values[count + 2], values[count + 3]]);
        judged.largest_logit = values[count + 4..].iter().fold(0., |most, logit| logit.max(most));
        Ok(())
    }

    /// Refuses a loss or a penalty that is not finite.
    pub(super) fn check(&self, name: &str, value: f32) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let diagnosis = finite::diagnosis(self.generator, self.discriminator)?;
        Err(TrainError::NonFinite { step: self.step, what: format!("{name} = {value}"), diagnosis })
    }
}
