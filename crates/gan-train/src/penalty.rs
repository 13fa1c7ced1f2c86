//! Penalties on the discriminator's gradient with respect to its input, and the points where the
//! gradient is taken.
//!
//! Each penalty gives its value and its derivative with respect to that gradient, sample by
//! sample. [`Slope::backward`](gan_models::Slope::backward) turns the derivative into exact
//! gradients of the weights.

use crate::error::{Result, TrainError};
use crate::schedule::{Range, Schedule, at};
use crate::trainer::Part;
use candle_core::Device;
use gan_models::Batch;
use gan_ops::rng::Stream;
use serde::{Deserialize, Serialize};

/// A zero-centred penalty: `gamma / 2 * E |grad D(x)|^2` at real images (R1) or at fake images
/// (R2). Source: Mescheder et al. 2018, arXiv 1801.04406, equations 9 and 10.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ZeroCentered {
    /// Weight of the penalty.
    pub gamma: f64,
    /// Schedule that starts at `gamma`. Without it, `gamma` stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma_schedule: Option<Schedule>,
    /// Updates of D from one penalty to the next. A lazy penalty is as many times stronger (lazy
    /// regularisation: Karras et al. 2020, arXiv 1912.04958, section 3.1).
    #[serde(default = "one")]
    pub every: u64,
}

/// A one-centred penalty: `weight * E (|grad D(x)| - 1)^2`. The norm is that of each sample's own
/// gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OneCentered {
    /// Weight of the penalty. The papers use 10.
    #[serde(default = "ten")]
    pub weight: f64,
    /// The points where the gradient is taken.
    #[serde(default)]
    pub at: Points,
}

/// Points between and around images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Points {
    /// Points on the line between a real image and a fake one. Each pair has its own position on
    /// the line. This is WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1).
    #[default]
    Interpolates,
    /// Points around real images, at a distance of up to half their standard deviation. This is
    /// DRAGAN (Kodali et al. 2017, arXiv 1705.07215, section 2.3, and the authors' program).
    AroundReal,
}

fn one() -> u64 {
    1
}

fn ten() -> f64 {
    10.
}

/// A penalty's value and derivative. The derivative with respect to each sample's gradient is a
/// factor times that gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Penalty {
    /// The value of the penalty.
    pub value: f64,
    /// The factor of each sample.
    pub factors: Vec<f32>,
}

impl ZeroCentered {
    /// A penalty in every update, with a constant weight.
    #[must_use]
    pub fn new(gamma: f64) -> Self {
        Self { gamma, gamma_schedule: None, every: 1 }
    }

    /// The weight in D's update after `updates` updates and `images` real images. `None` if this
    /// update has no penalty or the weight is 0.
    #[must_use]
    pub fn due(&self, updates: u64, images: u64) -> Option<f64> {
        let gamma = at(self.gamma, self.gamma_schedule, images) * self.every as f64;
        (gamma > 0. && updates.is_multiple_of(self.every)).then_some(gamma)
    }

    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        Range::Positive.check(&format!("{field}.gamma"), self.gamma)?;
        if let Some(schedule) = &self.gamma_schedule {
            schedule.validate(&format!("{field}.gamma-schedule"), Range::NotNegative)?;
        }
        if self.every == 0 {
            return Err(TrainError::config(format!("{field}.every"), "expected at least 1, found 0"));
        }
        Ok(())
    }
}

impl OneCentered {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        Range::Positive.check(&format!("{field}.weight"), self.weight)
    }

    /// The points for `part` of the batch in one update of D. `real, fake: [B, C, H, W]` are the images
    /// of the part, and D sees `pack` images at once. `deviation` is the standard deviation of the real
    /// images of the whole batch. The points are a pure function of the images, the seed, the update,
    /// which counts from 0, and the places of the images in the batch.
    pub(crate) fn points(
        &self,
        [real, fake]: [&Batch; 2],
        deviation: f32,
        pack: usize,
        seed: u64,
        (update, part): (u64, Part),
    ) -> candle_core::Result<Batch> {
        let mut stream = Stream::new(seed, "penalty", update);
        let count = part.samples;
        // All images that D sees at once share one position. So the point is on the line between
        // two inputs of D.
        let draw_places = |stream: &mut Stream| -> candle_core::Result<Vec<f32>> {
            stream.skip_uniform(part.first / pack);
            let places: Vec<f32> = stream.uniform(0., 1., count / pack, &Device::Cpu)?.to_vec1()?;
            Ok(places.into_iter().flat_map(|place| vec![place; pack]).collect())
        };
        match self.at {
            Points::Interpolates => {
                let places = draw_places(&mut stream)?;
                let rests: Vec<f32> = places.iter().map(|place| 1. - place).collect();
                real.combine(&places, Some((fake, &rests)))
            }
            Points::AroundReal => {
                let images = real.to_tensor()?;
                let pixels = images.elem_count() / count;
                stream.skip_uniform(part.first * pixels);
                let noise = stream.uniform(0., 1., images.shape(), images.device())?;
                stream.skip_uniform((part.whole - part.first - count) * pixels);
                let noise = Batch::new(&(noise * f64::from(deviation / 2.))?)?;
                let places = draw_places(&mut stream)?;
                real.combine(&vec![1.; count], Some((&noise, &places)))
            }
        }
    }
}

/// Computes `gamma / 2 * E |g|^2` from the squared norm of each sample's gradient g.
#[must_use]
pub fn zero_centered(gamma: f64, squares: &[f64]) -> Penalty {
    let count = squares.len() as f64;
    Penalty {
        value: gamma / 2. * squares.iter().sum::<f64>() / count,
        factors: vec![(gamma / count) as f32; squares.len()],
    }
}

/// Computes `weight * E (|g| - 1)^2` from the squared norm of each sample's gradient g. Where g is
/// 0, its derivative counts as 0. PyTorch does the same for a norm.
#[must_use]
pub fn one_centered(weight: f64, squares: &[f64]) -> Penalty {
    let count = squares.len() as f64;
    let factor = |square: &f64| {
        let norm = square.sqrt();
        if norm > 0. { (2. * weight / count * (norm - 1.) / norm) as f32 } else { 0. }
    };
    Penalty {
        value: weight * squares.iter().map(|square| (square.sqrt() - 1.).powi(2)).sum::<f64>() / count,
        factors: squares.iter().map(factor).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use candle_core::Tensor;

    #[test]
    fn factors_are_the_derivatives_of_the_values() {
        let norms = [0.3, 1., 2.5];
        for penalty in [zero_centered as fn(f64, &[f64]) -> Penalty, one_centered] {
            let of = |norms: [f64; 3]| penalty(4., &norms.map(|norm| norm * norm));
            let found = of(norms);
            for (i, factor) in found.factors.iter().enumerate() {
                let moved = |by: f64| {
                    let mut norms = norms;
                    norms[i] += by;
                    of(norms).value
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((f64::from(*factor) * norms[i] - slope).abs() < 1e-6, "{i}: {factor} {slope}");
            }
        }
        assert_eq!(one_centered(4., &[0.]).factors, [0.]);
    }

    #[test]
    fn lazy_penalties_are_as_strong_on_average() {
        let lazy = ZeroCentered { every: 4, ..ZeroCentered::new(2.) };
        let due: Vec<f64> = (0..8).map(|update| lazy.due(update, 0).unwrap_or_default()).collect();
        assert_eq!(due, [8., 0., 0., 0., 8., 0., 0., 0.]);
        // When it has faded there is nothing to compute.
        let schedule = Schedule { to: 0., over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. };
        let fading = ZeroCentered { gamma_schedule: Some(schedule), ..lazy };
        assert_eq!([fading.due(0, 500), fading.due(4, 1000)], [Some(4.), None]);
    }

    #[test]
    fn points_lie_where_the_papers_have_them() -> candle_core::Result<()> {
        let image = |value: f32| Batch::new(&Tensor::full(value, (64, 1, 2, 2), &Device::Cpu)?);
        let (real, fake) = (image(1.)?, image(-1.)?);
        let at = |at| OneCentered { weight: 10., at };
        let all = Part { first: 0, samples: 64, whole: 64 };
        let twice = Part { first: 0, samples: 128, whole: 128 };
        let points = at(Points::Interpolates)
            .points([&real, &fake], 0., 1, 3, (5, all))?
            .to_tensor()?
            .flatten_from(1)?;
        let points = points.to_vec2::<f32>()?;
        // Each pair has one position, which is the same for all its pixels.
        assert!(
            points.iter().all(|p| (-1. ..=1.).contains(&p[0]) && p.iter().all(|x| (x - p[0]).abs() < 1e-6))
        );
        let packed = at(Points::Interpolates)
            .points([&real, &fake], 0., 2, 3, (5, all))?
            .to_tensor()?
            .flatten_from(1)?;
        let packed = packed.to_vec2::<f32>()?;
        assert!(packed.chunks(2).all(|pair| pair[0] == pair[1]) && packed[0] != packed[2]);
        let mean = points.iter().map(|p| p[0]).sum::<f32>() / 64.;
        assert!(mean.abs() < 0.2 && points[0] != points[1], "{mean}");
        let mixed = Tensor::cat(&[real.to_tensor()?, fake.to_tensor()?], 0)?;
        let around = at(Points::AroundReal)
            .points([&Batch::new(&mixed)?, &fake], 1., 1, 3, (5, twice))?
            .to_tensor()?;
        let moved = (around - mixed)?.flatten_all()?.to_vec1::<f32>()?;
        // The deviation is 1, so the points move by up to a half.
        assert!(moved.iter().all(|by| (0. ..0.5).contains(by)) && moved.iter().any(|by| *by > 0.3));
        Ok(())
    }
}
