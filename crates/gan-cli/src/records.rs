//! The lines of `metrics.jsonl`, and what they tell of a run.

use crate::{journal, judge};
use anyhow::Result;
use gan_metrics::Evaluation;
use gan_metrics::health::{Baseline, Monitor, Verdict, Vitals};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Losses of a step, and how fast steps are.
#[derive(Debug, Serialize)]
pub(crate) struct LossesLine {
    pub(crate) step: u64,
    pub(crate) epoch: f64,
    /// Real images until now.
    pub(crate) images: u64,
    /// Seconds of training until now.
    pub(crate) seconds: f64,
    /// Since the line before.
    pub(crate) images_per_s: f64,
    pub(crate) d_loss: f32,
    pub(crate) g_loss: f32,
    /// On D's gradient, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) penalty: Option<f32>,
    /// `D(x)`, of a loss that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) d_real: Option<f32>,
    /// `D(G(z))`, of a loss that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) d_fake: Option<f32>,
    pub(crate) lr_g: f64,
    pub(crate) lr_d: f64,
}

/// How the generator was judged.
#[derive(Debug)]
pub(crate) struct EvaluationLine {
    pub(crate) step: u64,
    /// Data of the classifier whose features were compared: the distance is called by their name.
    pub(crate) features: String,
    pub(crate) evaluation: Evaluation,
}

impl Serialize for EvaluationLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut evaluation = serde_json::to_value(&self.evaluation).map_err(S::Error::custom)?;
        judge::name_distance(&mut evaluation, &self.features);
        serde_json::json!({ "step": self.step, "evaluate": evaluation }).serialize(serializer)
    }
}

/// The data, before the first check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BaselineLine {
    pub(crate) step: u64,
    pub(crate) baseline: Baseline,
}

/// A check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthLine {
    pub(crate) step: u64,
    pub(crate) health: Vitals,
}

/// What became certain with the check of its step.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VerdictLine {
    pub(crate) step: u64,
    pub(crate) verdict: Verdict,
}

/// The run went back to `step`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RollbackLine {
    pub(crate) step: u64,
    pub(crate) rollback: Rollback,
}

/// Why a run went back, and what it changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rollback {
    /// The step it had reached.
    pub(crate) from: u64,
    pub(crate) verdict: Verdict,
    /// The rates from here on.
    pub(crate) lr_g: f64,
    pub(crate) lr_d: f64,
}

/// What was done about a verdict, once it was done: a run that was killed before does it when it
/// goes on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActedLine {
    pub(crate) step: u64,
    pub(crate) acted: Acted,
}

/// What a run can do about a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acted {
    /// It ended with the verdict of that step.
    Stopped,
    /// All that belongs to the rollback to that step is done.
    WentBack,
}

/// The run's monitor as its records up to the step `until` leave it; none where its health was
/// never looked at.
pub(crate) fn replay(path: &Path, until: u64) -> Result<Option<Monitor>> {
    let baselines: Vec<BaselineLine> = journal::read(path)?;
    let baseline = baselines.into_iter().rfind(|line| line.step <= until);
    let Some(BaselineLine { baseline, step: start }) = baseline else { return Ok(None) };
    let mut monitor = Monitor::new(baseline, start);
    for HealthLine { step, health } in journal::read(path)? {
        if start < step && step <= until {
            monitor.observe(step, health);
        }
    }
    Ok(Some(monitor))
}

/// What to add to the news that there is no verdict.
pub(crate) fn patience(monitor: &Monitor) -> String {
    let too_few = |(all, seen)| {
        format!(" (some verdicts need {all} at 500 steps' distance or more, this run has {seen})")
    };
    monitor.patience().map(too_few).unwrap_or_default()
}

/// Whether the run has gone back before, where to and why.
pub(crate) fn rollback(path: &Path) -> Result<Option<RollbackLine>> {
    Ok(journal::read::<RollbackLine>(path)?.pop())
}

/// Whether that was done at `step`.
pub(crate) fn has_acted(path: &Path, acted: Acted, step: u64) -> Result<bool> {
    Ok(journal::read::<ActedLine>(path)?.iter().any(|line| line.acted == acted && line.step == step))
}

/// Every verdict that was written down.
pub(crate) fn verdicts(path: &Path) -> Result<Vec<Verdict>> {
    Ok(journal::read::<VerdictLine>(path)?.into_iter().map(|line| line.verdict).collect())
}
