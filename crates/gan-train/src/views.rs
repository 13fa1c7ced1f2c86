//! The changes that are made to images before D gets them, and the backward pass of these
//! changes. Images "as D sees them" are images after these changes.

use crate::augment::{self, Place};
use crate::config::TrainConfig;
use crate::error::Result;
use crate::schedule::{Range, Schedule, at};
use crate::trainer::Part;
use candle_core::{Device, Tensor};
use gan_models::{Batch, Draws};
use gan_ops::rng::Stream;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Normal noise on every image that D sees, real or fake. It makes the two distributions overlap,
/// and usually fades (Arjovsky and Bottou 2017, arXiv 1701.04862, section 3; Sønderby et al.
/// 2017, arXiv 1610.04490, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InstanceNoise {
    /// Standard deviation of the noise on each pixel. Pixels are in [-1, 1].
    pub deviation: f64,
    /// How the deviation changes. It stays the same if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// Makes the changes for the images of one step. They are pure functions of the seed, the update
/// and the number of images before the step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Views<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) seed: u64,
    /// Shape of an image, `[C, H, W]`.
    pub(crate) shape: [usize; 3],
    /// Number of real images before the step.
    pub(crate) images: u64,
    /// The samples of the batch that are changed. Each gets the change that belongs to its place in the
    /// batch.
    pub(crate) part: Part,
}

/// The changes to one batch: images are moved and cut, then noise is added. Without any settings,
/// images stay as they are.
#[derive(Debug)]
pub(crate) struct View {
    places: Option<Vec<Place>>,
    noise: Option<Vec<f32>>,
    shape: [usize; 3],
}

impl InstanceNoise {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        Range::Positive.check(&format!("{field}.deviation"), self.deviation)?;
        match &self.schedule {
            Some(schedule) => schedule.validate(&format!("{field}.schedule"), Range::NotNegative),
            None => Ok(()),
        }
    }
}

impl Views<'_> {
    /// The random numbers of the layers of a network in one pass. `update` counts the player's
    /// updates from 0.
    pub(crate) fn draws(&self, purpose: &'static str, update: u64) -> Draws {
        Draws { seed: self.seed, purpose, update, first: self.part.first }
    }

    /// Draws the changes for the images of the part. `update` counts the player's updates from 0.
    /// `whose` distinguishes the batches of an update.
    pub(crate) fn draw(&self, whose: &str, update: u64) -> Result<View> {
        let ([channels, height, width], Part { first, samples, whole }) = (self.shape, self.part);
        let stream = |purpose| Stream::new(self.seed, &format!("{purpose}/{whose}"), update);
        let places =
            self.config.augment.map(|augment| augment.places(&mut stream("augment"), whole, [height, width]));
        let places = places.transpose()?.map(|places| places[first..][..samples].to_vec());
        let deviation = |noise: InstanceNoise| at(noise.deviation, noise.schedule, self.images) as f32;
        let deviation = self.config.instance_noise.map_or(0., deviation);
        let noise = (deviation > 0.).then(|| -> Result<Vec<f32>> {
            let pixels = channels * height * width;
            let mut stream = stream("instance noise");
            stream.skip_normal(first * pixels);
            let mut noise: Vec<f32> = stream.normal(samples * pixels, &Device::Cpu)?.to_vec1()?;
            for value in &mut noise {
                *value *= deviation;
            }
            Ok(noise)
        });
        Ok(View { places, noise: noise.transpose()?, shape: self.shape })
    }
}

impl View {
    /// The images, `[B, C, H, W]`, as D sees them.
    pub(crate) fn show<'a>(&self, images: &'a Batch) -> Result<Cow<'a, Batch>> {
        if self.places.is_none() && self.noise.is_none() {
            return Ok(Cow::Borrowed(images));
        }
        let shown = self.map(images, |images| {
            let mut shown = match &self.places {
                Some(places) => augment::show(places, images, self.shape),
                None => images,
            };
            for (value, noise) in shown.iter_mut().zip(self.noise.iter().flatten()) {
                *value += noise;
            }
            shown
        });
        Ok(Cow::Owned(shown?))
    }

    /// Computes the gradient of the images from the gradient of the changed images. Noise is a
    /// constant, so it changes no gradient.
    pub(crate) fn back(&self, gradient: Batch) -> Result<Batch> {
        let Some(places) = &self.places else { return Ok(gradient) };
        self.map(&gradient, |gradient| augment::back(places, &gradient, self.shape))
    }

    /// Works on plain slices, because candle's element-wise operations cost too much for so few
    /// values.
    fn map(&self, batch: &Batch, f: impl FnOnce(Vec<f32>) -> Vec<f32>) -> Result<Batch> {
        let tensor = batch.to_tensor()?;
        let [channels, height, width] = self.shape;
        let shape = (tensor.dim(0)?, channels, height, width);
        let values = f(tensor.flatten_all()?.to_vec1()?);
        Ok(Batch::new(&Tensor::from_vec(values, shape, tensor.device())?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augment, OptimizerConfig, Shape};

    fn config() -> TrainConfig {
        let schedule = Schedule { to: 0., over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. };
        let mut config = TrainConfig::new(1, OptimizerConfig::new(1., (0., 0.)));
        config.instance_noise = Some(InstanceNoise { deviation: 0.2, schedule: Some(schedule) });
        config
    }

    fn seen(config: &TrainConfig, whose: &str, update: u64, images: u64) -> Vec<f32> {
        let gray = Batch::new(&Tensor::ones((8, 3, 20, 10), candle_core::DType::F32, &Device::Cpu).unwrap());
        let (gray, shape) = (gray.unwrap(), [3, 20, 10]);
        let part = Part { first: 0, samples: 8, whole: 8 };
        let view = Views { config, seed: 4, shape, images, part }.draw(whose, update).unwrap();
        let shown = view.show(&gray).unwrap().to_tensor().unwrap();
        assert_eq!(shown.dims(), [8, 3, 20, 10]);
        shown.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn noise_has_the_deviation_of_the_moment_and_fades() {
        for (images, expected) in [(0, 0.2), (500, 0.1), (1000, 0.), (1 << 40, 0.)] {
            let seen = seen(&config(), "x", 0, images);
            let square = seen.iter().map(|value| f64::from(value - 1.).powi(2)).sum::<f64>();
            let deviation = (square / seen.len() as f64).sqrt();
            assert!((deviation - expected).abs() < 0.006, "{deviation} for {expected}");
        }
        let mut bad = config();
        bad.instance_noise = Some(InstanceNoise { deviation: -0.1, schedule: None });
        assert_eq!(
            bad.validate().unwrap_err().to_string(),
            "train.instance-noise.deviation: expected a positive number, found -0.1"
        );
    }

    #[test]
    fn each_batch_has_a_view_of_its_own_that_is_the_same_again() {
        let mut config = config();
        config.augment =
            Some(Augment { color: false, translation: Some(0.25), cutout: Some(0.5), probability: None });
        let first = seen(&config, "x", 0, 0);
        assert!(first == seen(&config, "x", 0, 0));
        assert!(first != seen(&config, "y", 0, 0) && first != seen(&config, "x", 1, 0));
        // The hole has noise too, because images are cut before noise is added.
        let holes = first.iter().filter(|value| value.abs() < 0.9).count();
        assert!(holes > 1000 && first.iter().all(|value| *value != 0.), "{holes}");
    }
}
