//! Judges the generator now and then, and keeps the best.

use crate::config::Config;
use crate::draw::Images;
use crate::journal::Journal;
use crate::judge::{self, Pixels, Real};
use crate::observers::provenance;
use crate::run_dir::{self, Best, RunDir};
use anyhow::{Context, Result};
use gan_metrics::{Classifier, Evaluation, Reference};
use gan_models::write_atomically;
use gan_train::{Observer, StepReport, TrainError, Trainer};
use std::ops::ControlFlow;
use std::time::Instant;

/// Writes metrics to the journal, and `best/`.
pub(crate) struct Evaluate<'a> {
    journal: &'a Journal,
    run: &'a RunDir,
    config: &'a Config,
    /// Name of the training data.
    data: &'a str,
    /// The run's last step, which is judged in any case.
    steps: u64,
    /// Images to draw.
    count: usize,
    /// Steps between two evaluations.
    every: u64,
    classifier: Classifier,
    reference: Reference,
    stacked: bool,
    best: Option<Best>,
}

impl<'a> Evaluate<'a> {
    /// Looks at the real images. None if no evaluation is wanted.
    pub(crate) fn open(
        journal: &'a Journal,
        run: &'a RunDir,
        config: &'a Config,
        data: &'a str,
        steps: u64,
    ) -> Result<Option<Self>> {
        let Some(evaluate) = &config.train.evaluate else { return Ok(None) };
        let start = Instant::now();
        let classifier = judge::classifier(evaluate.features.as_deref())?;
        let real = Real::load(&config.data, config.model.image_size, config.model.channels)?;
        let (name, stacked) = (real.names[0].clone(), real.may_be_stacked());
        // Copies of training images are for the command `evaluate`: looking for them takes as long as all the rest.
        let reference = real.reference(&classifier, Pixels::Dropped)?;
        tracing::info!("will compare with {name} ({:.1} s to prepare)", start.elapsed().as_secs_f64());
        let every = (evaluate.every_kimg * 1000).div_ceil(config.data.batch_size as u64);
        let best = run_dir::best(run.path())?;
        Ok(Some(Self {
            journal,
            run,
            config,
            data,
            steps,
            count: evaluate.count,
            every,
            classifier,
            reference,
            stacked,
            best,
        }))
    }

    fn judge(&mut self, trainer: &Trainer) -> Result<()> {
        trainer.check_finite()?;
        let step = trainer.steps_done();
        let images = Images::seeded(trainer.generator(), trainer.seed(), self.count);
        let sample = judge::sample(&self.classifier, images.chunks(), Pixels::Dropped, self.stacked)?;
        let evaluation = self.reference.evaluate(&sample)?;
        self.write(step, &evaluation)?;
        let frechet_distance = evaluation.frechet_distance;
        let features = &self.classifier.record().data;
        tracing::info!(
            "step {step}: {features}-fd {frechet_distance:.2}, precision {:.3}, recall {:.3}, {} of {} classes",
            evaluation.precision,
            evaluation.recall,
            evaluation.classes.covered,
            evaluation.classes.of
        );
        if self.best.is_none_or(|best| frechet_distance < best.frechet_distance) {
            self.keep(trainer, Best { step, frechet_distance })?;
        }
        Ok(())
    }

    fn write(&self, step: u64, evaluation: &Evaluation) -> Result<()> {
        let mut evaluation = serde_json::to_value(evaluation)?;
        judge::name_distance(&mut evaluation, &self.classifier.record().data);
        self.journal.append(&serde_json::json!({ "step": step, "evaluate": evaluation }))
    }

    fn keep(&mut self, trainer: &Trainer, best: Best) -> Result<()> {
        let directory = self.run.best();
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let provenance = provenance(trainer, self.data, self.config.data.batch_size);
        // First the weights: a crash in between leaves a distance that the next better generator beats.
        trainer.generator().save(&run_dir::generator(&directory), &provenance)?;
        write_atomically(&run_dir::best_record(&directory), &serde_json::to_vec(&best)?)?;
        self.best = Some(best);
        Ok(())
    }
}

impl Observer for Evaluate<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        if report.step.is_multiple_of(self.every) || report.step == self.steps {
            self.judge(trainer).map_err(TrainError::observer)?;
        }
        Ok(ControlFlow::Continue(()))
    }
}
