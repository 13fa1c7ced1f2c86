//! What is measured of a run now and then, and of its data once: all that verdicts are made from.

use serde::{Deserialize, Serialize};

/// A run at one of its checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Of the steps since the check before, or since an earlier one where checks are frequent.
    pub losses: Losses,
    /// At this step.
    pub generator: Player,
    /// At this step.
    pub discriminator: Player,
    /// Largest magnitude that a layer of either network gives.
    pub largest_activation: f64,
    /// Of images that the generator draws at this step.
    pub images: ImageVitals,
}

/// Losses and logits over some steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Mean of D's loss.
    pub d_loss: f64,
    /// Mean of G's loss.
    pub g_loss: f64,
    /// How sure D is of real images, on average: 1 where it tells all of them; `D(x)` as a probability for cross-entropy. None
    /// where the loss has no such number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_real: Option<f64>,
    /// The same of fakes: 0 where it tells all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_fake: Option<f64>,
    /// Largest magnitude of a logit.
    pub largest_logit: f64,
    /// Standard deviation of G's loss, each value the mean of some steps in a row.
    pub swing: f64,
    /// Largest autocorrelation of these values at a distance from 2 on; near 1 where they come and go in a rhythm.
    pub rhythm: f64,
}

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Player {
    /// Euclidean norm of its weights.
    pub weight: f64,
    /// Norm of its gradient over that of its weights.
    pub gradient: f64,
    /// Norm of its update over that of its weights.
    pub update: f64,
}

/// Generated images beside real ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageVitals {
    /// Number of images.
    pub count: usize,
    /// Smallest and largest pixel.
    pub range: [f64; 2],
    /// Variance of the pixels over the images, over that of real images: 0 where all images are the same.
    pub spread: f64,
    /// Share of each class, as the classifier names them.
    pub shares: Vec<f64>,
    /// Fréchet distance in the classifier's features, over the variance of real features: 1 is as far as one
    /// single image repeated.
    pub distance: f64,
    /// Share of images that are nearer to a training image than 99% of the training images are to each other.
    pub copied: f64,
}

/// The data, before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Number of real images that were looked at.
    pub count: usize,
    /// Smallest and largest pixel, as the discriminator sees them.
    pub range: [f64; 2],
    /// Smallest and largest pixel that the generator can give.
    pub reach: [f64; 2],
    /// Share of each class, as the classifier names them.
    pub shares: Vec<f64>,
    /// [`ImageVitals::distance`] of as many real images as a check draws: what no generator gets below.
    pub distance: f64,
    /// Norm of each network's weights before the first step: generator, discriminator.
    pub weights: [f64; 2],
}

/// Beyond every sense, and yet a number: JSON has no infinity.
const LARGEST: f64 = 1e30;

impl Vitals {
    /// The same with 1e30 for what is larger or no number at all, so that it can be written and read again.
    #[must_use]
    pub fn finite(mut self) -> Self {
        let Self { losses, generator, discriminator, largest_activation, images } = &mut self;
        let Losses { d_loss, g_loss, d_real, d_fake, largest_logit, swing, rhythm } = losses;
        let ImageVitals { range: [low, high], spread, distance, copied, .. } = images;
        let mut all = vec![d_loss, g_loss, largest_logit, swing, rhythm];
        all.extend(d_real.iter_mut().chain(d_fake));
        all.extend([largest_activation, low, high, spread, distance, copied]);
        for Player { weight, gradient, update } in [generator, discriminator] {
            all.extend([weight, gradient, update]);
        }
        for value in all {
            *value = if value.is_nan() { LARGEST } else { value.clamp(-LARGEST, LARGEST) };
        }
        self
    }
}
