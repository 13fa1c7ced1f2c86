//! The lines of `metrics.jsonl`, and what they say about a run.

use crate::{journal, judge};
use anyhow::Result;
use gan_metrics::Evaluation;
use gan_metrics::health::{Baseline, Monitor, Verdict, Vitals};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The losses of a step, and the speed of training.
#[derive(Debug, Serialize)]
pub(crate) struct LossesLine {
    pub(crate) step: u64,
    pub(crate) epoch: f64,
    /// Number of real images used so far.
    pub(crate) images: u64,
    /// Seconds of training so far.
    pub(crate) seconds: f64,
    /// Measured since the previous line.
    pub(crate) images_per_s: f64,
    pub(crate) d_loss: f32,
    pub(crate) g_loss: f32,
    /// The penalty on D's gradient, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) penalty: Option<f32>,
    /// Mean `D(x)`, if the loss has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) d_real: Option<f32>,
    /// Mean `D(G(z))`, if the loss has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) d_fake: Option<f32>,
    pub(crate) lr_g: f64,
    pub(crate) lr_d: f64,
}

/// The result of an evaluation of the generator.
#[derive(Debug)]
pub(crate) struct EvaluationLine {
    pub(crate) step: u64,
    /// The definition of the features.
    pub(crate) features: String,
    /// The name after which the distance is called.
    pub(crate) distance: String,
    /// Number of images that were drawn.
    pub(crate) count: usize,
    pub(crate) evaluation: Evaluation,
    /// The evaluation of as many real images.
    pub(crate) floor: Evaluation,
}

impl EvaluationLine {
    /// The numbers of an evaluation with these features, by name.
    pub(crate) fn record_of(&self, evaluation: &Evaluation) -> serde_json::Result<serde_json::Value> {
        let mut record = serde_json::to_value(evaluation)?;
        judge::name_distance(&mut record, &self.distance);
        Ok(record)
    }
}

impl Serialize for EvaluationLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut evaluation = self.record_of(&self.evaluation).map_err(S::Error::custom)?;
        if let Some(fields) = evaluation.as_object_mut() {
            fields.insert("features".to_owned(), self.features.clone().into());
            fields.insert("count".to_owned(), self.count.into());
        }
        let floor = self.record_of(&self.floor).map_err(S::Error::custom)?;
        serde_json::json!({ "step": self.step, "evaluate": evaluation, "floor": floor }).serialize(serializer)
    }
}

/// Measurements of the data, before the first check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BaselineLine {
    pub(crate) step: u64,
    pub(crate) baseline: Baseline,
}

/// The measurements of one health check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthLine {
    pub(crate) step: u64,
    pub(crate) health: Vitals,
}

/// A verdict that the check at its step reached.
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

/// Why a run went back, and what changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rollback {
    /// The step from which the run went back.
    pub(crate) from: u64,
    pub(crate) verdict: Verdict,
    /// Learning rates from now on.
    pub(crate) lr_g: f64,
    pub(crate) lr_d: f64,
}

impl RollbackLine {
    /// The rollback in words.
    pub(crate) fn said(&self) -> String {
        let Rollback { from, verdict, .. } = &self.rollback;
        format!("went back once, from step {from} to step {}, for {}", self.step, verdict.failure.name())
    }
}

/// Records that the action after a verdict is complete. If a run is killed before this line, it
/// repeats the action when it continues.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActedLine {
    pub(crate) step: u64,
    pub(crate) acted: Acted,
}

/// An action of a run after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acted {
    /// The run ended with the verdict of that step.
    Stopped,
    /// The run went back to that step, and all parts of the rollback are complete.
    WentBack,
}

/// Builds the run's monitor again from its records up to the step `until`. It is `None` if the
/// run's health was never checked.
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

/// Text that follows a report without verdicts: whether the run had enough checks for each rule.
pub(crate) fn patience(monitor: &Monitor) -> String {
    let too_few = |(all, seen)| {
        format!(" (some verdicts need {all} checks at least 500 steps apart; this run has {seen})")
    };
    monitor.patience().map(too_few).unwrap_or_default()
}

/// What is wrong with the images of a run without verdicts, if they do not resemble the data.
pub(crate) fn unformed(monitor: &Monitor) -> Option<String> {
    let distance = monitor.unformed()?;
    let (_, vitals) = monitor.history().last()?;
    let shares = vitals.images.shares.iter().enumerate();
    let (class, share) = shares.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some(format!(
        "the images do not resemble the data: their relative distance is {distance:.1}, that of a single image is 1, \
         and {:.0}% of them are of the {} {class}; either the run is too short, or it fails, and only more steps show \
         which",
        share * 100.,
        monitor.baseline().group()
    ))
}

/// The run's last rollback, if it has gone back.
pub(crate) fn rollback(path: &Path) -> Result<Option<RollbackLine>> {
    Ok(journal::read::<RollbackLine>(path)?.pop())
}

/// The step at which a verdict ended the run, unless the run went on later.
pub(crate) fn stopped(path: &Path) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Any {
        step: u64,
        acted: Option<Acted>,
    }
    let last = journal::read::<Any>(path)?.pop();
    Ok(last.filter(|line| line.acted == Some(Acted::Stopped)).map(|line| line.step))
}

/// Whether this action was completed at `step`.
pub(crate) fn has_acted(path: &Path, acted: Acted, step: u64) -> Result<bool> {
    Ok(journal::read::<ActedLine>(path)?.iter().any(|line| line.acted == acted && line.step == step))
}

/// Whether the evaluation after this step is recorded.
pub(crate) fn has_evaluated(path: &Path, step: u64) -> Result<bool> {
    /// The part of [`EvaluationLine`] that every version has.
    #[derive(Deserialize)]
    struct Evaluated {
        step: u64,
        #[serde(rename = "evaluate")]
        _evaluate: serde::de::IgnoredAny,
    }
    Ok(journal::read::<Evaluated>(path)?.iter().any(|line| line.step == step))
}

/// All recorded verdicts.
pub(crate) fn verdicts(path: &Path) -> Result<Vec<Verdict>> {
    Ok(journal::read::<VerdictLine>(path)?.into_iter().map(|line| line.verdict).collect())
}
