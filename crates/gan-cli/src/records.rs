//! The lines of `metrics.jsonl` that tell of health; losses are `observers::metrics`'.

use crate::journal;
use anyhow::Result;
use gan_metrics::health::{Baseline, Monitor, Verdict, Vitals};
use serde::{Deserialize, Serialize};
use std::path::Path;

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

/// What was done about a verdict, once it was done: a run that was killed before does it when it goes on.
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

/// The run's monitor as its records leave it; none where its health was never looked at.
pub(crate) fn replay(path: &Path) -> Result<Option<Monitor>> {
    let Some(BaselineLine { baseline, step: start }) = journal::read(path)?.pop() else { return Ok(None) };
    let mut monitor = Monitor::new(baseline, start);
    for HealthLine { step, health } in journal::read(path)? {
        if step > start {
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
