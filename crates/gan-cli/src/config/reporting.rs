//! What a run reports and keeps of itself: keys of `[train]` beside those of
//! `gan_train::TrainConfig`. None of them changes what is learned, so a run may go on with others.

use super::Every;
use crate::exit::usage;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How often what is written, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Reporting {
    /// Steps between two lines of losses; 0 for the last step's alone.
    pub(crate) log_every: Every,
    /// Steps between two grids of samples, the last of which is drawn in any case; 0 for that
    /// alone.
    pub(crate) sample_every: Every,
    /// Images in a grid.
    pub(crate) sample_count: usize,
    /// Steps between two checkpoints, the last of which is written in any case; 0 for that alone.
    pub(crate) checkpoint_every: Every,
    /// Number of checkpoints kept.
    pub(crate) keep: usize,
    /// The watch over the run.
    pub(crate) health: HealthConfig,
    /// Metrics during the run; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluate: Option<EvaluateConfig>,
}

/// Checks that the run is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct HealthConfig {
    /// Steps between two checks; 0 for none.
    pub(crate) every: Every,
    /// Images that are drawn at a check.
    pub(crate) samples: usize,
    /// What follows a verdict.
    pub(crate) on_failure: OnFailure,
}

/// What follows a verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
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
pub(crate) struct EvaluateConfig {
    /// Thousands of real images between two evaluations, the last of which comes with the last
    /// step in any case; 0 for that alone.
    pub(crate) every_kimg: u64,
    /// Images that are drawn for one.
    #[serde(default = "default_evaluate_count")]
    pub(crate) count: usize,
    /// File of a classifier whose features are compared, in place of the digits' one.
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
        }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { every: Every::steps(500), samples: 256, on_failure: OnFailure::default() }
    }
}

/// Fewer images say nothing of a distribution.
pub(crate) const MIN_JUDGED: usize = 64;
/// More would be a mistake in the file.
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
        // Nothing on the way, and what the end brings.
        let none = |r: &mut Reporting| {
            (r.log_every, r.sample_every, r.checkpoint_every) =
                (Every::steps(0), Every::steps(0), Every::steps(0));
            evaluate(0, 64)(r);
        };
        assert_eq!(problem(&none), Ok(()));
    }
}
