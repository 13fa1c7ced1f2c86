//! What a run reports and keeps: keys of `[train]` beside those of `gan_train::TrainConfig`. None
//! of them changes what the networks learn, so a resume may change them.

use super::Every;
use crate::exit::usage;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How often each output is written, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Reporting {
    /// Steps between two lines of losses. 0 means only the last step.
    pub(crate) log_every: Every,
    /// Steps between two grids of samples. The last step always has a grid. 0 means only that one.
    pub(crate) sample_every: Every,
    /// Number of images in a grid.
    pub(crate) sample_count: usize,
    /// Steps between two checkpoints. The last step always has a checkpoint. 0 means only that one.
    pub(crate) checkpoint_every: Every,
    /// Number of checkpoints to keep.
    pub(crate) keep: usize,
    /// The health checks of the run.
    pub(crate) health: HealthConfig,
    /// The evaluation during the run. If it is absent, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluate: Option<EvaluateConfig>,
    /// Whether the run writes event files for `TensorBoard`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tensorboard: bool,
}

/// Settings of the health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct HealthConfig {
    /// Steps between two checks. 0 means no checks.
    pub(crate) every: Every,
    /// Number of images drawn for a check.
    pub(crate) samples: usize,
    /// What happens after a verdict.
    pub(crate) on_failure: OnFailure,
}

/// What a run does after a verdict on its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// It prints the verdict and continues.
    #[default]
    Warn,
    /// It ends.
    Stop,
    /// It goes back to a step before the failure and halves both learning rates. It does this once.
    /// At the next verdict it ends.
    Rollback,
}

/// Settings of the evaluation during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct EvaluateConfig {
    /// Thousands of real images between two evaluations. The last step is always evaluated. 0 means
    /// only that one.
    pub(crate) every_kimg: u64,
    /// Number of images drawn for an evaluation.
    #[serde(default = "default_evaluate_count")]
    pub(crate) count: usize,
    /// What computes the features instead of the program's own choice: `random`, or the file of a
    /// classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) features: Option<PathBuf>,
}

fn default_evaluate_count() -> usize {
    10_000
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            log_every: Every::steps(100),
            sample_every: Every::steps(1000),
            sample_count: 64,
            checkpoint_every: Every::steps(1000),
            keep: 2,
            health: HealthConfig::default(),
            evaluate: None,
            tensorboard: false,
        }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { every: Every::steps(500), samples: 256, on_failure: OnFailure::default() }
    }
}

/// Fewer images say too little about a distribution.
pub(crate) const MIN_JUDGED: usize = 64;
/// A larger number is surely a mistake in the file.
const MAX_JUDGED: usize = 1_000_000;
const MAX_KIMG: u64 = 1_000_000_000;
const MAX_SAMPLES: usize = 4096;

impl Reporting {
    /// Checks every value.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.keep == 0 {
            return Err(usage("train.keep: expected at least 1, found 0"));
        }
        whole("train.sample-count", self.sample_count, 1, MAX_SAMPLES)?;
        self.health.validate("train.health")?;
        self.evaluate.iter().try_for_each(|evaluate| evaluate.validate("train.evaluate"))
    }
}

impl HealthConfig {
    fn validate(&self, field: &str) -> Result<()> {
        if self.every.is_never() && self.on_failure != OnFailure::Warn {
            let problem = "expected above 0, as on-failure waits for a verdict, found 0";
            return Err(usage(format!("{field}.every: {problem}")));
        }
        whole(&format!("{field}.samples"), self.samples, MIN_JUDGED, MAX_JUDGED)
    }
}

impl EvaluateConfig {
    fn validate(&self, field: &str) -> Result<()> {
        if self.every_kimg > MAX_KIMG {
            let problem = format!("expected a whole number from 0 to {MAX_KIMG}, found {}", self.every_kimg);
            return Err(usage(format!("{field}.every-kimg: {problem}")));
        }
        whole(&format!("{field}.count"), self.count, MIN_JUDGED, MAX_JUDGED)
    }
}

fn whole(field: &str, count: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(usage(format!("{field}: expected a whole number from {least} to {most}, found {count}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        let problem = |change: &dyn Fn(&mut Reporting)| {
            let mut reporting = Reporting::default();
            change(&mut reporting);
            reporting.validate().map_err(|e| e.to_string())
        };
        assert_eq!(problem(&|_| ()), Ok(()));
        let found = problem(&|r| r.health.samples = 2).unwrap_err();
        assert_eq!(found, "train.health.samples: expected a whole number from 64 to 1000000, found 2");
        let blind = |on_failure| {
            move |r: &mut Reporting| (r.health.every, r.health.on_failure) = (Every::steps(0), on_failure)
        };
        assert!(problem(&blind(OnFailure::Stop)).unwrap_err().starts_with("train.health.every: "));
        assert_eq!(problem(&blind(OnFailure::Warn)), Ok(()));
        let evaluate = |every_kimg, count| {
            move |r: &mut Reporting| r.evaluate = Some(EvaluateConfig { every_kimg, count, features: None })
        };
        assert!(problem(&evaluate(1, 0)).unwrap_err().starts_with("train.evaluate.count: "));
        let found = problem(&evaluate(MAX_KIMG + 1, 64)).unwrap_err();
        assert!(found.starts_with("train.evaluate.every-kimg: expected a whole number from 0"), "{found}");
        assert!(problem(&|r| r.keep = 0).unwrap_err().starts_with("train.keep"));
        let found = problem(&|r| r.sample_count = 4097).unwrap_err();
        assert_eq!(found, "train.sample-count: expected a whole number from 1 to 4096, found 4097");
        // Nothing before the end of the run, only the last step's output.
        let none = |r: &mut Reporting| {
            (r.log_every, r.sample_every, r.checkpoint_every) =
                (Every::steps(0), Every::steps(0), Every::steps(0));
            evaluate(0, 64)(r);
        };
        assert_eq!(problem(&none), Ok(()));
    }
}
