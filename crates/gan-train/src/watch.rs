//! The watch over a run, as it stands under `[train.health]` and `[train.evaluate]`: for whoever runs this crate's loop.
//! What is measured, and what it means, is for `gan-metrics`.

use crate::error::{Result, TrainError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Checks that the run is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HealthConfig {
    /// Steps between two checks; 0 for none.
    pub every: u64,
    /// Images that are drawn at a check.
    pub samples: usize,
    /// What follows a verdict.
    pub on_failure: OnFailure,
}

/// What follows a verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is said, and the run goes on.
    #[default]
    Warn,
    /// The run ends.
    Stop,
    /// The run goes on from before the failure with both learning rates halved, once; then it ends.
    Rollback,
}

/// Metrics during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvaluateConfig {
    /// Thousands of real images between two evaluations.
    pub every_kimg: u64,
    /// Images that are drawn for one.
    #[serde(default = "default_evaluate_count")]
    pub count: usize,
    /// File of a classifier whose features are compared, in place of the digits' one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
}

fn default_evaluate_count() -> usize {
    10_000
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { every: 500, samples: 256, on_failure: OnFailure::default() }
    }
}

/// Fewer images say nothing of a distribution.
pub const MIN_JUDGED: usize = 64;
/// More would be a mistake in the file.
const MAX_JUDGED: usize = 1_000_000;
const MAX_KIMG: u64 = 1_000_000_000;

impl HealthConfig {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        if self.every == 0 && self.on_failure != OnFailure::Warn {
            let problem = "expected above 0, as on-failure waits for a verdict, found 0";
            return Err(TrainError::config(format!("{field}.every"), problem));
        }
        judged(&format!("{field}.samples"), self.samples)
    }
}

impl EvaluateConfig {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        if !(1..=MAX_KIMG).contains(&self.every_kimg) {
            let problem = format!("expected a whole number from 1 to {MAX_KIMG}, found {}", self.every_kimg);
            return Err(TrainError::config(format!("{field}.every-kimg"), problem));
        }
        judged(&format!("{field}.count"), self.count)
    }
}

fn judged(field: &str, count: usize) -> Result<()> {
    if (MIN_JUDGED..=MAX_JUDGED).contains(&count) {
        return Ok(());
    }
    let problem = format!("expected a whole number from {MIN_JUDGED} to {MAX_JUDGED}, found {count}");
    Err(TrainError::config(field, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        let health = HealthConfig { samples: 2, ..HealthConfig::default() };
        let problem = health.validate("train.health").unwrap_err().to_string();
        assert_eq!(problem, "train.health.samples: expected a whole number from 64 to 1000000, found 2");
        let health = HealthConfig { every: 0, on_failure: OnFailure::Stop, ..HealthConfig::default() };
        assert!(health.validate("train.health").unwrap_err().to_string().starts_with("train.health.every: "));
        assert!(HealthConfig { every: 0, ..HealthConfig::default() }.validate("train.health").is_ok());
        let problem = |every_kimg, count| {
            EvaluateConfig { every_kimg, count, features: None }
                .validate("train.evaluate")
                .unwrap_err()
                .to_string()
        };
        assert!(problem(1, 0).starts_with("train.evaluate.count: "));
        assert!(problem(0, 64).starts_with("train.evaluate.every-kimg: "));
    }
}
