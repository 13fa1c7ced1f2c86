//! The measurements of a run at each health check, and the measurements of its data before the
//! first step. Verdicts use nothing else.

use serde::{Deserialize, Serialize};

/// The measurements of a run at one health check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Losses over the steps since the previous check. If checks are frequent, they are over the
    /// steps since an earlier check.
    pub losses: Losses,
    /// The generator at this step.
    pub generator: Player,
    /// The discriminator at this step.
    pub discriminator: Player,
    /// Largest magnitude in the output of any layer of the two networks.
    pub largest_activation: f64,
    /// The images that the generator draws at this step.
    pub images: ImageVitals,
}

/// Losses and logits over some steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Mean of D's loss.
    pub d_loss: f64,
    /// Mean of G's loss.
    pub g_loss: f64,
    /// How sure D is of real images, on average: 1 if it recognises all of them. For cross-entropy
    /// it is the probability `D(x)`. It is `None` if the loss has no such number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_real: Option<f64>,
    /// The same number for fakes. It is 0 if D recognises all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_fake: Option<f64>,
    /// Largest magnitude of a logit.
    pub largest_logit: f64,
    /// Standard deviation of G's loss. Each value in it is the mean of some steps in a row.
    pub swing: f64,
    /// Largest autocorrelation of these values at a distance of 2 or more. It is near 1 if they
    /// rise and fall regularly.
    pub rhythm: f64,
}

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Player {
    /// Euclidean norm of its weights.
    pub weight: f64,
    /// Norm of its gradient, divided by the norm of its weights.
    pub gradient: f64,
    /// Norm of its update, divided by the norm of its weights.
    pub update: f64,
}

/// Generated images, measured against real ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageVitals {
    /// Number of images.
    pub count: usize,
    /// Smallest and largest pixel.
    pub range: [f64; 2],
    /// Variance of the pixels over the images, divided by the same variance of real images. It is
    /// 0 if all images are the same.
    pub spread: f64,
    /// Share of each class, according to the classifier. Share of each bin of similar images, if
    /// the features know no classes ([`Baseline::features`]).
    pub shares: Vec<f64>,
    /// Fréchet distance of the features, divided by the variance of the real features. It is 1 for a set that repeats one single image.
    pub distance: f64,
    /// Share of images that are nearer to a training image than 99% of the training images are to
    /// each other.
    pub copied: f64,
}

/// The data, before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Number of real images that were measured.
    pub count: usize,
    /// Smallest and largest value that a pixel can have, as the discriminator sees it. The images
    /// need not reach them: photographs may be dark.
    pub range: [f64; 2],
    /// Smallest and largest pixel that the generator can output.
    pub reach: [f64; 2],
    /// Share of each class, according to the classifier, or of each bin.
    pub shares: Vec<f64>,
    /// The definition of the features if they know no classes, so that the shares are those of
    /// bins. It is `None` for a classifier. Measurements with other features cannot be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// [`ImageVitals::distance`] of real images, as many as a check draws. It is the lower limit
    /// for generators.
    pub distance: f64,
    /// Norm of each network's weights before the first step: generator, discriminator.
    pub weights: [f64; 2],
}

/// A value that is beyond every sensible number, but still a number, because JSON has no infinity.
const LARGEST: f64 = 1e30;

impl Baseline {
    /// What the shares are the shares of: `class` or `bin`.
    #[must_use]
    pub fn group(&self) -> &'static str {
        if self.features.is_some() { "bin" } else { "class" }
    }
}

impl Vitals {
    /// Replaces values that are larger than 1e30 or not a number by 1e30, so that they can be
    /// written and read again.
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
