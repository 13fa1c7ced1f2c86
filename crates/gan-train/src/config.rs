//! The configuration of training, as a TOML file holds it under `[train]`. Settings of what a run
//! reports belong to the program that runs it.

mod length;
mod networks;
mod optimizer;

use crate::augment::Augment;
use crate::ema::EmaConfig;
use crate::error::{Result, TrainError};
use crate::init::InitConfig;
use crate::loss::Loss;
use crate::penalty::{OneCentered, ZeroCentered};
use crate::views::InstanceNoise;
use serde::{Deserialize, Serialize};

pub use length::{Horizon, Length};
pub use optimizer::OptimizerConfig;

/// The training of both players.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// Length of the run in steps. A configuration has either this or `epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Length of the run in passes over the data. A configuration has either this or `steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The objective.
    #[serde(default)]
    pub loss: Loss,
    /// In D's cross-entropy, the target for real images is 1 minus this. 0 means no smoothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// Number of updates of D in a step, each on its own batch (Goodfellow et al. 2014, arXiv
    /// 1406.2661, algorithm 1: `k`; Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1:
    /// `n_critic`).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub d_steps: u64,
    /// Number of updates of G in a step, each on its own latents.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub g_steps: u64,
    /// Number of parts of a batch that are computed one after the other, so that a step needs the memory
    /// of one part. 1 means that the batch is computed at once.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: u64,
    /// D's weights are kept in `[-weight_clip, weight_clip]` (Arjovsky et al. 2017, arXiv
    /// 1701.07875). There is no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f64>,
    /// Penalty on D's gradient at real images. There is none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r1: Option<ZeroCentered>,
    /// Penalty on D's gradient at fake images. There is none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<ZeroCentered>,
    /// Penalty on the difference between the norm of D's gradient and 1. There is none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_penalty: Option<OneCentered>,
    /// Changes that are made to every image before D gets it. There are none if absent. Penalties
    /// on D's gradient are computed at the changed images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// Noise that is added to every image before D gets it, after `augment`. There is none if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_noise: Option<InstanceNoise>,
    /// Average of the generator's weights, from which images are drawn. There is none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Where the weights before the first step come from. They are random if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// The generator's optimizer.
    pub generator: OptimizerConfig,
    /// The discriminator's optimizer.
    pub discriminator: OptimizerConfig,
}

/// Whether a file can leave the value out, because it is the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &u64) -> bool {
    *value == 1
}

/// The largest number of updates of one player in a step. Their images are in memory at the same
/// time. The program of Arjovsky et al. 2017 makes as many at its start.
const MOST_UPDATES: u64 = 100;

impl TrainConfig {
    /// A configuration for `steps` steps with the same Adam for both players. All other values
    /// are the defaults.
    #[must_use]
    pub fn new(steps: u64, adam: OptimizerConfig) -> Self {
        Self {
            steps: Some(steps),
            epochs: None,
            loss: Loss::default(),
            label_smoothing: 0.,
            d_steps: 1,
            g_steps: 1,
            accumulate: 1,
            weight_clip: None,
            r1: None,
            r2: None,
            gradient_penalty: None,
            augment: None,
            instance_noise: None,
            ema: None,
            init: None,
            generator: adam,
            discriminator: adam,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used: its key, the expected value and the value found.
    pub fn validate(&self) -> Result<()> {
        self.length()?;
        for (field, updates) in [("train.d-steps", self.d_steps), ("train.g-steps", self.g_steps)] {
            if !(1..=MOST_UPDATES).contains(&updates) {
                let problem = format!("expected a whole number from 1 to {MOST_UPDATES}, found {updates}");
                return Err(TrainError::config(field, problem));
            }
        }
        if self.accumulate == 0 {
            return Err(TrainError::config("train.accumulate", "expected at least 1, found 0"));
        }
        self.validate_objective()?;
        self.augment.iter().try_for_each(|augment| augment.validate("train.augment"))?;
        self.instance_noise.iter().try_for_each(|noise| noise.validate("train.instance-noise"))?;
        self.ema.iter().try_for_each(|ema| ema.validate("train.ema"))?;
        self.generator.validate("train.generator")?;
        self.discriminator.validate("train.discriminator")
    }

    /// The average of the generator's weights. If all weights come from earlier training, there is no ramp-up,
    /// which would forget them in the first steps.
    pub(crate) fn average(&self) -> Option<EmaConfig> {
        let is_trained = self.init.as_ref().is_some_and(|init| !init.partial);
        self.ema.map(|ema| EmaConfig { ramp_up: ema.ramp_up.filter(|_| !is_trained), ..ema })
    }

    fn validate_objective(&self) -> Result<()> {
        if !(0. ..1.).contains(&self.label_smoothing) {
            let problem = format!("expected a number from 0 up to but not 1, found {}", self.label_smoothing);
            return Err(TrainError::config("train.label-smoothing", problem));
        }
        if self.label_smoothing > 0. && !self.loss.is_cross_entropy() {
            let problem = format!("expected 0 for the {} loss, which has no labels", self.loss);
            return Err(TrainError::config("train.label-smoothing", problem));
        }
        if let Some(limit) = self.weight_clip.filter(|limit| !(*limit > 0. && limit.is_finite())) {
            let problem = format!("expected a positive number, found {limit}");
            return Err(TrainError::config("train.weight-clip", problem));
        }
        for (penalty, field) in [(&self.r1, "train.r1"), (&self.r2, "train.r2")] {
            penalty.iter().try_for_each(|penalty| penalty.validate(field))?;
        }
        self.gradient_penalty.iter().try_for_each(|penalty| penalty.validate("train.gradient-penalty"))
    }
}

#[cfg(test)]
mod tests;
