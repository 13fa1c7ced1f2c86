//! Evaluates the generator at intervals, and keeps the best one.

use super::{Event, Plan, Sinks, Snapshot};
use crate::config::{EvaluateConfig, Every};
use crate::draw::Drawing;
use crate::judge::{self, Judges, Pixels};
use crate::records::EvaluationLine;
use crate::run_dir::{self, Best};
use anyhow::{Context, Result};
use gan_files::write_atomically;
use gan_metrics::Evaluation as Numbers;
use gan_models::{Generator, Provenance};

/// Writes the directory `best/`.
pub(super) struct Evaluation<'a> {
    plan: &'a Plan,
    judges: &'a Judges,
    config: &'a EvaluateConfig,
    every: Every,
    best: Option<Best>,
}

impl<'a> Evaluation<'a> {
    /// Continues with the best generator of the run if it was evaluated in the same way. `None` if
    /// the configuration asks for no evaluation.
    pub(super) fn open(plan: &'a Plan) -> Option<Self> {
        let (config, judges) = (plan.config.reporting.evaluate.as_ref()?, plan.judges.as_ref()?);
        let is_comparable = |best: &Best| best.count == judges.count && best.features == config.features;
        let best = run_dir::best(plan.run.path()).filter(is_comparable);
        let every = Every::kimg(config.every_kimg, plan.config.images_per_step());
        Some(Self { plan, judges, config, every, best })
    }

    /// The run's last step is always evaluated.
    pub(super) fn is_due(&self, step: u64) -> bool {
        self.every.falls_on(step) || step == self.plan.horizon.steps
    }

    pub(super) fn judge(&mut self, now: &mut Snapshot<'_>, sinks: &mut Sinks) -> Result<()> {
        let (step, trainer) = (now.step(), now.trainer()?);
        let sampler = now.sampler()?;
        let evaluation = self.evaluate(sampler, trainer.seed())?;
        let best = Best {
            step,
            frechet_distance: evaluation.frechet_distance,
            count: self.judges.count,
            features: self.config.features.clone(),
        };
        let features = self.judges.classifier.record().data.clone();
        sinks.hear(&Event::Evaluated(&EvaluationLine { step, features, evaluation }))?;
        if self.best.as_ref().is_none_or(|before| best.frechet_distance < before.frechet_distance) {
            self.keep(sampler, &self.plan.provenance(trainer), &best)?;
            self.best = Some(best);
        }
        Ok(())
    }

    fn evaluate(&self, sampler: &Generator, seed: u64) -> Result<Numbers> {
        let Judges { classifier, reference, channels, tells_classes, count } = self.judges;
        let images = Drawing::seeded(sampler, seed, *count);
        let labels = images.labels().filter(|_| *tells_classes);
        let sample = judge::sample(classifier, images.chunks(), Pixels::Dropped, *channels)?;
        let sample = match labels {
            Some(labels) => sample.with_labels(labels)?,
            None => sample,
        };
        Ok(reference.evaluate(&sample)?)
    }

    fn keep(&self, sampler: &Generator, provenance: &Provenance, best: &Best) -> Result<()> {
        let directory = self.plan.run.best();
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        // The weights are written first. After a crash between the two writes, the old distance
        // remains, and the next better generator replaces both files.
        sampler.save(&run_dir::generator(&directory), provenance)?;
        Ok(write_atomically(&run_dir::best_record(&directory), &serde_json::to_vec(best)?)?)
    }
}
