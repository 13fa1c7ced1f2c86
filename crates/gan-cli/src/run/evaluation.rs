//! Evaluates the generator at intervals, and keeps the best one.

use super::{Event, Plan, Sinks, Snapshot};
use crate::aside;
use crate::config::Every;
use crate::judge::{Judges, joined};
use crate::origin;
use crate::ranks::{self, Sampled};
use crate::records::{self, EvaluationLine};
use crate::run_dir::{self, Best};
use anyhow::Result;
use candle_core::Device;
use gan_files::{create_directory, read, seal, sha256, write_atomically};
use gan_metrics::Evaluation as Numbers;
use gan_models::{Generator, Provenance};
use std::sync::Arc;
use std::time::Instant;

/// Writes the directory `best/`.
pub(super) struct Evaluation<'a> {
    plan: &'a Plan,
    judges: &'a Arc<Judges>,
    every: Every,
    best: Option<Best>,
}

impl<'a> Evaluation<'a> {
    /// Continues with the best generator of the run if it was evaluated in the same way. `None` if
    /// the configuration asks for no evaluation.
    ///
    /// # Errors
    /// A best generator of another run, which this run would not replace if it is better.
    pub(super) fn open(plan: &'a Plan) -> Result<Option<Self>> {
        let Plan { run, config, .. } = plan;
        let (Some(evaluate), Some(judges)) = (&config.reporting.evaluate, &plan.judges) else {
            return Ok(None);
        };
        let best = run_dir::best(run.path());
        if best.is_some() {
            let weights = run_dir::generator(&run.best());
            let (_, trained) = Generator::load(&weights, &Device::Cpu)?;
            origin::check(&weights, &trained, &run.config(), config)?;
        }
        let is_comparable = |best: &Best| best.count == judges.count && best.features == judges.recorded;
        if let Some(Best { step, .. }) = best.as_ref().filter(|best| !is_comparable(best)) {
            tracing::warn!(
                "{}: the next evaluation replaces the generator of step {step}, as it was compared by other \
                 features or with another number of images",
                run.best().display()
            );
        }
        let every = Every::kimg(evaluate.every_kimg, config.images_per_step());
        Ok(Some(Self { plan, judges, every, best: best.filter(is_comparable) }))
    }

    /// The run's last step is always evaluated.
    pub(super) fn is_due(&self, step: u64) -> bool {
        self.every.falls_on(step) || step == self.plan.horizon.steps
    }

    /// Evaluates the generator, unless a signal comes first.
    pub(super) fn judge(&mut self, now: &mut Snapshot<'_>, sinks: &mut Sinks) -> Result<Judged> {
        let (step, trainer) = (now.step(), now.trainer()?);
        let sampler = now.sampler()?;
        let sampled = Sampled::of(trainer, sampler, self.judges.count);
        let Some(evaluation) = self.evaluate(sampled)? else {
            return Ok(Judged::Interrupted);
        };
        let distance = evaluation.frechet_distance;
        // A process that was killed after this line may have lost what follows.
        if !records::has_evaluated(&self.plan.run.metrics(), step)? {
            let features = &self.judges.features;
            let (features, distance) = (features.id().to_owned(), features.name().to_owned());
            let floor = self.judges.floor.clone();
            let count = self.judges.count;
            let line = EvaluationLine { step, features, distance, count, evaluation, floor };
            sinks.hear(&Event::Evaluated(&line))?;
        }
        if self.best.as_ref().is_none_or(|before| distance < before.frechet_distance) {
            self.best = Some(self.keep(sampler, &self.plan.provenance(trainer)?, distance)?);
        }
        Ok(Judged::Done)
    }

    /// `None` if a signal came. An evaluation takes many seconds and saves nothing, so the run does
    /// not wait for its end then.
    fn evaluate(&self, sampled: Sampled) -> Result<Option<Numbers>> {
        let (leader, gives_up) = (&self.plan.leader, || self.plan.interrupt.has_come());
        leader.look(self.judges.count)?;
        let ranks = [0, leader.group().size()];
        let (judges, own) = (Arc::clone(self.judges), sampled.clone());
        let look = move || ranks::look(&judges.features, &own, ranks);
        let start = Instant::now();
        let own = aside::compute(look, gives_up);
        // The answers must be taken before anything can fail.
        let answers = leader.seen(start.elapsed())?;
        let Some(own) = own?.transpose()? else { return Ok(None) };
        let judges = Arc::clone(self.judges);
        let numbers = move || {
            let Judges { features, channels, .. } = &*judges;
            let seen = ranks::all_seen(features, &sampled, own, &answers)?;
            let sample = joined(&seen, *channels)?;
            let labels = sampled.drawing().labels();
            let sample = match labels.filter(|_| judges.tells_classes) {
                Some(labels) => sample.with_labels(labels)?,
                None => sample,
            };
            Ok(judges.reference.evaluate(&sample)?)
        };
        aside::compute(numbers, gives_up)?.transpose()
    }

    fn keep(&self, sampler: &Generator, provenance: &Provenance, distance: f64) -> Result<Best> {
        let directory = self.plan.run.best();
        create_directory(&directory)?;
        // After a crash between the two writes, the record is of other weights, and nobody uses them.
        let weights = run_dir::generator(&directory);
        sampler.save(&weights, provenance)?;
        let best = Best {
            step: provenance.step,
            frechet_distance: distance,
            count: self.judges.count,
            features: self.judges.recorded.clone(),
            sha256: sha256(&[&read(&weights)?]),
        };
        write_atomically(&run_dir::best_record(&directory), &seal(&serde_json::to_vec(&best)?))?;
        Ok(best)
    }
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    Done,
    /// A signal came. The run has to repeat the evaluation when it continues.
    Interrupted,
}
