//! Writes the checkpoints that a run can continue from, and the generator's files.

use super::{Clock, Event, Plan, Resumable, Sinks, Snapshot};
use anyhow::{Result, ensure};
use gan_train::checkpoint::{self, Retention};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Writes `checkpoints/step-*/`, `generator.safetensors`, and `ema.safetensors` if there is an
/// average. It also writes them at the end of the run.
pub(super) struct Checkpoints<'a> {
    plan: &'a Plan,
    /// The settings that a resume may not change.
    settings: BTreeMap<String, String>,
    clock: Clock,
    /// The step of the newest checkpoint.
    newest: Option<u64>,
    /// The step of the generator's files, once this process has written them.
    written: Option<u64>,
}

/// What a checkpoint needs from the other duties.
pub(super) struct Notes<'a> {
    pub(super) state: &'a Resumable,
    /// Steps whose checkpoints are kept in addition to the newest.
    pub(super) ways_back: &'a [u64],
}

impl<'a> Checkpoints<'a> {
    /// Prepares for a run that continues after `step` steps.
    pub(super) fn open(plan: &'a Plan, step: u64, clock: Clock) -> Result<Self> {
        let newest = (step > 0).then_some(step);
        Ok(Self { plan, settings: plan.settings()?, clock, newest, written: None })
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        self.plan.config.reporting.checkpoint_every.falls_on(step)
    }

    pub(super) fn has_saved(&self, step: u64) -> bool {
        self.written == Some(step)
    }

    /// Saves the networks, and `notes` for a resume.
    pub(super) fn save(&mut self, now: &mut Snapshot<'_>, notes: Notes<'_>, sinks: &mut Sinks) -> Result<()> {
        let Plan { run, config, .. } = self.plan;
        let (step, trainer) = (now.step(), now.trainer()?);
        let provenance = self.plan.provenance(trainer)?;
        let Notes { state, ways_back } = notes;
        let directory = run.checkpoints();
        let path = checkpoint::place(&directory, step);
        let is_new = self.newest != Some(step);
        // Somebody may have deleted the run. Its files would appear again, without what a resume needs.
        ensure!(run.config().exists(), "{} is gone: the run is not saved any more", run.config().display());
        if is_new {
            let (seconds, state) = (self.clock.seconds(), serde_json::to_value(state)?);
            checkpoint::save(&directory, trainer, &provenance, &self.settings, seconds, state)?;
            self.newest = Some(step);
        }
        // An earlier process may have ended before it had deleted all.
        let is_regular = |step| self.plan.writes_checkpoint(step);
        let last = config.reporting.keep;
        checkpoint::prune(&path, &Retention { last, ways_back, is_regular: &is_regular })?;
        if let Cow::Owned(average) = now.sampler()? {
            average.save(&run.ema(), &provenance)?;
        }
        trainer.generator().save(&run.generator(), &provenance)?;
        self.written = Some(step);
        if is_new { sinks.hear(&Event::Saved { step, path: &path }) } else { Ok(()) }
    }
}
