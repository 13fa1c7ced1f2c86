//! The generator's exponential moving average.

use crate::error::Result;
use crate::schedule::{Range, Schedule, at};
use candle_core::{Tensor, Var};
use gan_models::{Draws, Generator, proportional_labels};
use gan_ops::{ema_step, rng::Stream};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Number of batches of latents for the statistics of the average's batch norms, and number of
/// latents in each.
const BATCHES: u64 = 8;
const BATCH: usize = 64;

/// How slowly the average follows the generator.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EmaConfig {
    /// Half life in thousands of images: after them, a weight counts half.
    pub half_life_kimg: f64,
    /// Schedule that starts at `half_life_kimg`, in the same unit. Without it, the half life stays
    /// the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_schedule: Option<Schedule>,
    /// Limit on the half life at the beginning: this share of the images seen so far. With it, the
    /// first weights are soon forgotten (Karras et al. 2020, arXiv 2006.06676, table 5: 0.05).
    /// There is no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp_up: Option<f64>,
}

impl EmaConfig {
    /// A constant half life.
    #[must_use]
    pub fn new(half_life_kimg: f64) -> Self {
        Self { half_life_kimg, half_life_schedule: None, ramp_up: None }
    }

    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        Range::Positive.check(&format!("{field}.half-life-kimg"), self.half_life_kimg)?;
        if let Some(schedule) = &self.half_life_schedule {
            schedule.validate(&format!("{field}.half-life-schedule"), Range::Positive)?;
        }
        self.ramp_up.map_or(Ok(()), |share| Range::Positive.check(&format!("{field}.ramp-up"), share))
    }

    /// The factor of the old average in a step on `batch` images, after `images` images.
    #[must_use]
    pub fn decay(&self, images: u64, batch: usize) -> f64 {
        let half_life = at(self.half_life_kimg, self.half_life_schedule, images) * 1000.;
        let half_life = self.ramp_up.map_or(half_life, |share| half_life.min(share * images as f64));
        if half_life > 0. { 0.5f64.powf(batch as f64 / half_life) } else { 0. }
    }
}

/// A generator whose weights are the average of another generator's weights over the steps (Yazici
/// et al. 2019, arXiv 1806.04498).
#[derive(Debug)]
pub struct Ema {
    config: EmaConfig,
    average: Generator,
}

impl Ema {
    /// Starts with the weights of `generator`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(config: EmaConfig, generator: &Generator) -> Result<Self> {
        Ok(Self { config, average: copy(generator)? })
    }

    /// Continues from an average.
    #[must_use]
    pub fn from_parts(config: EmaConfig, average: Generator) -> Self {
        Self { config, average }
    }

    /// Adds the weights after a step on `batch` images. Before that step there were `images`
    /// images.
    ///
    /// # Errors
    /// Another network than that of the average.
    pub fn update(&mut self, generator: &Generator, images: u64, batch: usize) -> Result<()> {
        let decay = self.config.decay(images, batch);
        let (average, now) = (self.average.params(), generator.params());
        average.layout().check_same(now.layout())?;
        for ((_, average), (_, now)) in average.trained().zip(now.trained()) {
            ema_step(average, &now.as_detached_tensor(), decay)?;
        }
        Ok(())
    }

    /// The average. The running statistics of its batch norms do not belong to its weights: see
    /// [`Self::sampler`].
    #[must_use]
    pub fn average(&self) -> &Generator {
        &self.average
    }

    /// The average as a generator to draw from. The statistics of its batch norms are computed
    /// from latents of `seed`. With classes, each is as frequent as `class_counts` says, or all equally frequent
    /// if it is empty.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn sampler(&self, seed: u64, class_counts: &[u64]) -> Result<Generator> {
        let sampler = copy(&self.average)?;
        estimate_statistics(&sampler, seed, class_counts)?;
        Ok(sampler)
    }
}

fn copy(generator: &Generator) -> Result<Generator> {
    let tensors: HashMap<String, Tensor> = generator
        .params()
        .iter()
        .map(|(name, var)| Ok((name.to_owned(), var.as_detached_tensor().copy()?)))
        .collect::<candle_core::Result<_>>()?;
    Ok(Generator::from_tensors(generator.config(), tensors, generator.device())?)
}

/// Gives each batch norm the mean of the statistics of these batches.
pub(crate) fn estimate_statistics(generator: &Generator, seed: u64, class_counts: &[u64]) -> Result<()> {
    let running: Vec<&Var> = generator.params().running().collect();
    if running.is_empty() {
        return Ok(());
    }
    let mut sums: Vec<Option<Tensor>> = vec![None; running.len()];
    let latents = generator.config().latents();
    let labels = latents.classes().map(|classes| {
        let equal = vec![1; classes];
        let counts = if class_counts.len() == classes { class_counts } else { &equal };
        proportional_labels(counts, BATCHES as usize * BATCH)
    });
    for batch in 0..BATCHES {
        let mut stream = Stream::new(seed, "statistics", batch);
        let labels = labels.as_ref().map(|labels| &labels[batch as usize * BATCH..][..BATCH]);
        let z = match labels {
            Some(labels) => latents.draw_of(&mut stream, labels, generator.device())?,
            None => latents.draw(&mut stream, BATCH, generator.device())?,
        };
        for var in &running {
            var.set(&var.zeros_like()?)?;
        }
        let draws = Draws { seed, purpose: "statistics", update: batch, first: 0 };
        generator.prepare()?.forward(&generator.latents(&z)?, draws)?;
        for (sum, var) in sums.iter_mut().zip(&running) {
            let value = var.as_detached_tensor().copy()?;
            *sum = Some(match sum.take() {
                Some(sum) => (sum + value)?,
                None => value,
            });
        }
    }
    // Running statistics start at 0 here, and one batch moves them by the momentum times its own
    // statistics.
    let scale = 1. / (gan_models::BATCH_NORM_MOMENTUM * BATCHES as f64);
    for (sum, var) in sums.into_iter().zip(running) {
        if let Some(sum) = sum {
            var.set(&(sum * scale)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use candle_core::Device;
    use gan_models::{Mode, preset};

    #[test]
    fn a_weight_of_then_counts_half_after_the_half_life() {
        let config = EmaConfig::new(2.);
        assert!((config.decay(1_000_000, 2000) - 0.5).abs() < 1e-12);
        assert!((config.decay(0, 500).powi(4) - 0.5).abs() < 1e-12);
        let ramped = EmaConfig { ramp_up: Some(0.05), ..config };
        // After 1000 images the half life is 50.
        assert!((ramped.decay(1000, 50) - 0.5).abs() < 1e-12 && ramped.decay(0, 64) == 0.);
        assert!((ramped.decay(1_000_000, 64) - config.decay(0, 64)).abs() < 1e-12);
        let schedule = Schedule { to: 4., over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. };
        let slower = EmaConfig { half_life_schedule: Some(schedule), ..config };
        assert!(
            (slower.decay(500, 3000) - 0.5).abs() < 1e-12 && (slower.decay(1000, 4000) - 0.5).abs() < 1e-12
        );
        assert!(EmaConfig::new(0.).validate("train.ema").is_err());
    }

    #[test]
    fn it_follows_the_weights_and_leaves_the_statistics() -> Result<()> {
        let (old, new) = (
            Generator::new(&preset::dcgan_28(), 1, &Device::Cpu)?,
            Generator::new(&preset::dcgan_28(), 2, &Device::Cpu)?,
        );
        let mut ema = Ema::new(EmaConfig::new(1.), &old)?;
        ema.update(&new, 0, 1000)?;
        let value = |generator: &Generator, name: &str| -> Vec<f32> {
            generator.params().get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        for name in ["model.0.weight", "model.1.bias"] {
            let (a, b, mean) = (value(&old, name), value(&new, name), value(ema.average(), name));
            assert!(
                a.iter().zip(&b).zip(&mean).all(|((a, b), mean)| (f32::midpoint(*a, *b) - mean).abs() < 1e-6)
            );
        }
        // The statistics in evaluation equal those of large batches in training.
        let sampler = ema.sampler(3, &[])?;
        assert_eq!(value(&sampler, "model.0.weight"), value(ema.average(), "model.0.weight"));
        let z = Stream::new(9, "z", 0).normal((400, 100), &Device::Cpu)?;
        let trained = ema.sampler(3, &[])?.forward(&z, Mode::Train(Draws::default()))?;
        let drawn = sampler.generate(&z)?;
        let apart = (trained - drawn)?.abs()?.mean_all()?.to_scalar::<f32>()?;
        assert!(apart < 0.02, "{apart}");
        Ok(())
    }
}
