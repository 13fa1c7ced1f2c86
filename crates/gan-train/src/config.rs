//! How a model is trained, as it stands in a TOML file under `[train]`.

use crate::error::{Result, TrainError};
use crate::loss::Loss;
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
        self.health.validate("train.health")?;
        if let Some(evaluate) = &self.evaluate {
            evaluate.validate("train.evaluate")?;
        }
        self.generator.validate("train.generator")?;
        self.discriminator.validate("train.discriminator")
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
