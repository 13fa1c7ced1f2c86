//! How a model is trained, as it stands in a TOML file under `[train]`.

use crate::ema::EmaConfig;
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::penalty::{OneCentered, ZeroCentered};
use crate::watch::{EvaluateConfig, HealthConfig};
use gan_ops::AdamHyper;
use serde::{Deserialize, Serialize};

/// The training of both players.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// Length of the run in steps; either this or `epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Length of the run in passes over the data; either this or `steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The objective.
    #[serde(default)]
    pub loss: Loss,
    /// Real images count as 1 less this in D's cross-entropy; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// D's weights stay in `[-weight_clip, weight_clip]` (Arjovsky et al. 2017, arXiv 1701.07875); any size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f64>,
    /// Penalty on D's gradient at real images; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r1: Option<ZeroCentered>,
    /// Penalty on D's gradient at fake images; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<ZeroCentered>,
    /// Penalty on how far the norm of D's gradient is from 1; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_penalty: Option<OneCentered>,
    /// Average of the generator's weights, to draw from; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Steps between two lines of the log.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
    /// Steps between two grids of samples; 0 draws only the last.
    #[serde(default = "default_sample_every")]
    pub sample_every: u64,
    /// Images in a grid.
    #[serde(default = "default_sample_count")]
    pub sample_count: usize,
    /// Steps between two checkpoints; 0 writes only the last.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Number of checkpoints kept.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// The watch over the run.
    #[serde(default)]
    pub health: HealthConfig,
    /// Metrics during the run; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<EvaluateConfig>,
    /// The generator's optimizer.
    pub generator: OptimizerConfig,
    /// The discriminator's optimizer.
    pub discriminator: OptimizerConfig,
}

/// One player's Adam.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// Step size.
    pub lr: f64,
    /// Decay of the first and of the second moment.
    pub betas: (f64, f64),
}

/// Length of a run as the configuration has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A number of steps.
    Steps(u64),
    /// A number of passes over the data.
    Epochs(u64),
}

/// Length of a run once the data are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Steps in the run.
    pub steps: u64,
    /// Steps in a pass over the data.
    pub steps_per_epoch: u64,
}

/// What a file need not say.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_log_every() -> u64 {
    100
}

fn default_sample_every() -> u64 {
    1000
}

fn default_sample_count() -> usize {
    64
}

fn default_checkpoint_every() -> u64 {
    1000
}

fn default_keep() -> usize {
    2
}

/// PyTorch's default; the paper's too.
const ADAM_EPS: f64 = 1e-8;

impl TrainConfig {
    /// `steps` steps with the same Adam for both players, all else by default.
    #[must_use]
    pub fn new(steps: u64, adam: OptimizerConfig) -> Self {
        Self {
            steps: Some(steps),
            epochs: None,
            loss: Loss::default(),
            label_smoothing: 0.,
            weight_clip: None,
            r1: None,
            r2: None,
            gradient_penalty: None,
            ema: None,
            log_every: default_log_every(),
            sample_every: default_sample_every(),
            sample_count: default_sample_count(),
            checkpoint_every: default_checkpoint_every(),
            keep: default_keep(),
            health: HealthConfig::default(),
            evaluate: None,
            generator: adam,
            discriminator: adam,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used: its key, what is expected, what was found.
    pub fn validate(&self) -> Result<()> {
        self.length()?;
        if self.log_every == 0 {
            return Err(TrainError::config("train.log-every", "expected at least 1, found 0"));
        }
        if self.keep == 0 {
            return Err(TrainError::config("train.keep", "expected at least 1, found 0"));
        }
        if !(1..=4096).contains(&self.sample_count) {
            return Err(TrainError::config(
                "train.sample-count",
                format!("expected a whole number from 1 to 4096, found {}", self.sample_count),
            ));
        }
        self.validate_objective()?;
        self.ema.iter().try_for_each(|ema| ema.validate("train.ema"))?;
        self.health.validate("train.health")?;
        if let Some(evaluate) = &self.evaluate {
            evaluate.validate("train.evaluate")?;
        }
        self.generator.validate("train.generator")?;
        self.discriminator.validate("train.discriminator")
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

    /// The key of a penalty that needs samples which do not depend on each other, if there is one.
    pub(crate) fn needs_lone_samples(&self) -> Option<&'static str> {
        [
            ("train.r1", self.r1.is_some()),
            ("train.r2", self.r2.is_some()),
            ("train.gradient-penalty", self.gradient_penalty.is_some()),
        ]
        .into_iter()
        .find_map(|(field, is_set)| is_set.then_some(field))
    }

    /// Length of the run.
    ///
    /// # Errors
    /// Neither or both of `steps` and `epochs`, or zero of them.
    pub fn length(&self) -> Result<Length> {
        match (self.steps, self.epochs) {
            (Some(0), _) | (_, Some(0)) => {
                let field = if self.steps == Some(0) { "train.steps" } else { "train.epochs" };
                Err(TrainError::config(field, "expected at least 1, found 0"))
            }
            (Some(steps), None) => Ok(Length::Steps(steps)),
            (None, Some(epochs)) => Ok(Length::Epochs(epochs)),
            (None, None) => {
                Err(TrainError::config("train.steps", "expected train.steps or train.epochs, found neither"))
            }
            (Some(_), Some(_)) => {
                Err(TrainError::config("train.steps", "expected train.steps or train.epochs, found both"))
            }
        }
    }

    /// Length of the run over data with `steps_per_epoch` batches.
    ///
    /// # Errors
    /// Those of [`Self::length`]; a run longer than 2^64 steps.
    pub fn horizon(&self, steps_per_epoch: u64) -> Result<Horizon> {
        let steps = match self.length()? {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs
                .checked_mul(steps_per_epoch)
                .ok_or_else(|| TrainError::config("train.epochs", format!("{epochs} is too many")))?,
        };
        Ok(Horizon { steps, steps_per_epoch })
    }
}

impl OptimizerConfig {
    fn validate(&self, field: &str) -> Result<()> {
        if !(self.lr > 0. && self.lr.is_finite()) {
            return Err(TrainError::config(
                format!("{field}.lr"),
                format!("expected a positive number, found {}", self.lr),
            ));
        }
        for beta in [self.betas.0, self.betas.1] {
            if !(0. ..1.).contains(&beta) {
                return Err(TrainError::config(
                    format!("{field}.betas"),
                    format!("expected two numbers from 0 up to but not 1, found {beta}"),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn adam(&self) -> AdamHyper {
        AdamHyper { lr: self.lr, betas: self.betas, eps: ADAM_EPS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        let player = OptimizerConfig { lr: 2e-4, betas: (0.5, 0.999) };
        TrainConfig::new(10, player)
    }

    fn problem(change: impl Fn(&mut TrainConfig)) -> String {
        let mut config = config();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        config().validate().unwrap();
        assert_eq!(
            problem(|c| c.generator.lr = -1.),
            "train.generator.lr: expected a positive number, found -1"
        );
        assert!(problem(|c| c.discriminator.lr = f64::NAN).starts_with("train.discriminator.lr: "));
        assert!(problem(|c| c.discriminator.betas.1 = 1.).ends_with("found 1"));
        assert_eq!(
            problem(|c| c.steps = None),
            "train.steps: expected train.steps or train.epochs, found neither"
        );
        assert!(problem(|c| c.epochs = Some(1)).ends_with("found both"));
        assert_eq!(problem(|c| c.steps = Some(0)), "train.steps: expected at least 1, found 0");
        assert!(problem(|c| c.keep = 0).starts_with("train.keep"));
    }

    #[test]
    fn epochs_become_steps() {
        let mut config = config();
        (config.steps, config.epochs) = (None, Some(3));
        assert_eq!(config.horizon(78).unwrap(), Horizon { steps: 234, steps_per_epoch: 78 });
        assert!(config.horizon(u64::MAX).is_err());
    }
}
