//! Checkpoints to go on from, and the generator to draw from.

use super::{Watch, provenance};
use crate::config::OnFailure;
use crate::run_dir::RunDir;
use gan_train::{Observer, StepReport, TrainError, Trainer, checkpoint};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// Writes `checkpoints/step-*/`, `generator.safetensors` and `ema.safetensors` if there is an average, also at the end.
pub(crate) struct Checkpoints<'a> {
    pub(crate) run: &'a RunDir,
    /// Name of the training data.
    pub(crate) data: String,
    pub(crate) images_per_step: usize,
    /// What a resume may not change.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) keep: usize,
    pub(crate) watch: &'a Watch,
    /// Whether healthy states are to be kept to go back to.
    pub(crate) on_failure: OnFailure,
    /// Since when, and after how many seconds of training in earlier processes.
    pub(crate) clock: (Instant, f64),
    /// The step of the newest checkpoint.
    pub(crate) saved: Option<u64>,
}

impl Checkpoints<'_> {
    fn save(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        let step = trainer.steps_done();
        let provenance = provenance(trainer, &self.data, self.images_per_step);
        if self.saved != Some(step) {
            let seconds = self.clock.1 + self.clock.0.elapsed().as_secs_f64();
            let directory = self.run.checkpoints();
            let notes = serde_json::to_value(&self.watch.window).map_err(TrainError::observer)?;
            let path = checkpoint::save(&directory, trainer, &provenance, &self.settings, seconds, notes)?;
            let ways_back = self.watch.ways_back.borrow();
            let ways_back = if self.on_failure == OnFailure::Rollback { &ways_back[..] } else { &[] };
            checkpoint::prune(&path, self.keep, ways_back)?;
            self.saved = Some(step);
            tracing::debug!("saved a checkpoint at step {step}");
        }
        if let Cow::Owned(average) = trainer.sampler()? {
            average.save(&self.run.ema(), &provenance)?;
        }
        Ok(trainer.generator().save(&self.run.generator(), &provenance)?)
    }
}

impl Observer for Checkpoints<'_> {
    fn on_step(&mut self, trainer: &Trainer, _: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        self.save(trainer)?;
        Ok(ControlFlow::Continue(()))
    }

    fn on_finish(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        self.save(trainer)
    }
}
