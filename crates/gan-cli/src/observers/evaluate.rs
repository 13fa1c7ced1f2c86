//! Judges the generator now and then, and keeps the best.

use crate::config::{Config, EvaluateConfig, Every};
use crate::draw::Images;
use crate::journal::Journal;
use crate::judge::{self, Judges, Pixels};
use crate::observers::provenance;
use crate::run_dir::{self, Best, RunDir};
use anyhow::{Context, Result};
use gan_metrics::Evaluation;
use gan_models::{Generator, write_atomically};
use gan_train::{Observer, StepReport, TrainError, Trainer};
use std::ops::ControlFlow;

/// Writes metrics to the journal, and `best/`.
pub(crate) struct Evaluate<'a> {
    journal: &'a Journal,
    run: &'a RunDir,
    judges: &'a Judges,
    wanted: &'a EvaluateConfig,
    /// Name of the training data, and real images in a step.
    data: (&'a str, usize),
    /// The run's last step, which is judged in any case.
    steps: u64,
    best: Option<Best>,
}

impl<'a> Evaluate<'a> {
    /// Goes on from the best generator of the run, if it was judged in the same way. None if no evaluation is wanted.
    pub(crate) fn open(
        journal: &'a Journal,
        run: &'a RunDir,
        config: &'a Config,
        judges: Option<&'a Judges>,
        data: &'a str,
        steps: u64,
    ) -> Option<Self> {
        let (wanted, judges) = (config.reporting.evaluate.as_ref()?, judges?);
        let is_comparable = |best: &Best| best.count == judges.count && best.features == wanted.features;
        let best = run_dir::best(run.path()).filter(is_comparable);
        Some(Self { journal, run, judges, wanted, data: (data, config.images_per_step()), steps, best })
    }

    /// Steps between two evaluations.
    fn every(&self) -> Every {
        Every::kimg(self.wanted.every_kimg, self.data.1)
    }

    fn judge(&mut self, trainer: &Trainer) -> Result<()> {
        trainer.check_finite()?;
        let step = trainer.steps_done();
        let Judges { classifier, reference, modes, tells_classes, count } = self.judges;
        let sampler = trainer.sampler()?;
        let images = Images::seeded(&sampler, trainer.seed(), *count);
        let labels = images.labels().filter(|_| *tells_classes);
        let sample = judge::sample(classifier, images.chunks(), Pixels::Dropped, *modes)?;
        let sample = match labels {
            Some(labels) => sample.with_labels(labels)?,
            None => sample,
        };
        let evaluation = reference.evaluate(&sample)?;
        self.write(step, &evaluation)?;
        let frechet_distance = evaluation.frechet_distance;
        let features = &classifier.record().data;
        let covered = match (evaluation.modes, &evaluation.accuracy) {
            (_, Some(accuracy)) => format!("{:.1}% of the classes asked for", accuracy.overall * 100.),
            (Some(modes), _) => format!("{} of {} modes (KL {:.3})", modes.covered, modes.of, modes.kl),
            (None, None) => format!("{} of {} classes", evaluation.classes.covered, evaluation.classes.of),
        };
        tracing::info!(
            "step {step}: {features}-fd {frechet_distance:.2}, precision {:.3}, recall {:.3}, {covered}",
            evaluation.precision,
            evaluation.recall,
        );
        if self.best.as_ref().is_none_or(|best| frechet_distance < best.frechet_distance) {
            let features = self.wanted.features.clone();
            self.keep(trainer, &sampler, Best { step, frechet_distance, count: *count, features })?;
        }
        Ok(())
    }

    fn write(&self, step: u64, evaluation: &Evaluation) -> Result<()> {
        let mut evaluation = serde_json::to_value(evaluation)?;
        judge::name_distance(&mut evaluation, &self.judges.classifier.record().data);
        self.journal.append(&serde_json::json!({ "step": step, "evaluate": evaluation }))
    }

    fn keep(&mut self, trainer: &Trainer, sampler: &Generator, best: Best) -> Result<()> {
        let directory = self.run.best();
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let provenance = provenance(trainer, self.data.0, self.data.1);
        // First the weights: a crash in between leaves a distance that the next better generator beats.
        sampler.save(&run_dir::generator(&directory), &provenance)?;
        write_atomically(&run_dir::best_record(&directory), &serde_json::to_vec(&best)?)?;
        self.best = Some(best);
        Ok(())
    }
}

impl Observer for Evaluate<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        if self.every().falls_on(report.step) || report.step == self.steps {
            self.judge(trainer).map_err(TrainError::observer)?;
        }
        Ok(ControlFlow::Continue(()))
    }
}
