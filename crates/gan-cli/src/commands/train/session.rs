//! A run under way: from a state to the end, or to a verdict and back.

use super::rollback::{self, Way};
use crate::commands::program;
use crate::config::{Config, OnFailure};
use crate::journal::Journal;
use crate::judge::Judges;
use crate::observers::{Checkpoints, Evaluate, Health, Interrupt, Metrics, Progress, Samples, Watch};
use crate::records::{self, Acted, ActedLine};
use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use gan_data::Batches;
use gan_metrics::health::{Failure, Verdict};
use gan_models::write_atomically;
use gan_train::{Examples, Horizon, Observer, Outcome, TrainError, Trainer, checkpoint, every, fit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What stays the same while the state moves.
pub(super) struct Session {
    pub(super) run: RunDir,
    pub(super) config: Config,
    /// Of the data.
    pub(super) fingerprint: String,
    pub(super) batches: Batches,
    pub(super) horizon: Horizon,
    pub(super) device: Device,
    pub(super) interrupt: Interrupt,
    /// Of the generator now and then, if it is to be judged.
    pub(super) judges: Option<Judges>,
}

/// A state to train from.
pub(super) struct Begun {
    pub(super) trainer: Trainer,
    /// Seconds of training until now.
    pub(super) seconds: f64,
    watch: Watch,
}

/// How training came to an end.
pub(super) enum Ended {
    InOrder(Outcome),
    /// By a verdict that the configuration does not put up with.
    Failing {
        verdict: Verdict,
        /// The last check without any symptom.
        healthy_until: u64,
    },
}

impl Session {
    pub(super) fn write_config(&self) -> Result<()> {
        Ok(write_atomically(&self.run.config(), self.config.to_toml()?.as_bytes())?)
    }

    /// What a checkpoint of this run must agree in.
    fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut settings = self.config.settings()?;
        settings.insert("data.fingerprint".to_owned(), self.fingerprint.clone());
        Ok(settings)
    }

    /// The state to go on from: a checkpoint's, or the first.
    pub(super) fn begin(&self, checkpoint: Option<&Path>) -> Result<Begun> {
        let Config { seed, model, train, .. } = &self.config;
        let Some(path) = checkpoint else {
            let trainer = Trainer::new(model, train, *seed, &self.device)?;
            return Ok(Begun { trainer, seconds: 0., watch: Watch::default() });
        };
        let (trainer, state) = checkpoint::load(path, model, train, *seed, &self.settings()?, &self.device)?;
        // Written by a version that had no watch, it begins anew.
        let window = serde_json::from_value(state.notes).unwrap_or_default();
        let watch = Watch { window: RefCell::new(window), ..Watch::default() };
        Ok(Begun { trainer, seconds: state.seconds, watch })
    }

    /// Trains until the last step, a signal or a verdict.
    pub(super) fn go(&mut self, begun: &mut Begun) -> Result<Ended> {
        let Begun { trainer, seconds, watch } = begun;
        let seconds = *seconds;
        let (train, horizon, run) = (&self.config.train, &self.horizon, &self.run);
        let reporting = &self.config.reporting;
        let done = trainer.steps_done();
        let images_per_step = self.config.images_per_step();
        let journal = Journal::open(&run.metrics(), done)?;
        let metrics = Metrics::new(&journal, images_per_step, horizon, done, seconds);
        let samples = Samples::new(run, trainer, reporting.sample_count)?;
        let data = self.batches.dataset().name();
        let mut health = Health::open(&journal, reporting.health, &self.batches, trainer, watch)?;
        if let Some(verdict) = health.as_ref().and_then(Health::fatal).cloned() {
            // Before the first step, or certain when the run was killed.
            let healthy_until = watch.healthy_until();
            return Ok(Ended::Failing { verdict, healthy_until });
        }
        let mut evaluate =
            Evaluate::open(&journal, run, &self.config, self.judges.as_ref(), data, horizon.steps);
        let checkpoints = Checkpoints {
            run,
            data: data.to_owned(),
            images_per_step,
            settings: self.settings()?,
            keep: reporting.keep,
            watch,
            on_failure: reporting.health.on_failure,
            clock: (Instant::now(), seconds),
            saved: (done > 0).then_some(done),
        };
        let mut metrics = every(reporting.log_every.get(), metrics);
        let mut progress = Progress::new(horizon.steps, done, reporting.log_every.get(), images_per_step);
        let mut samples = every(reporting.sample_every.get(), samples);
        let mut observers: Vec<&mut dyn Observer> = vec![&mut metrics, &mut progress, &mut samples];
        observers.extend(health.as_mut().map(|health| health as &mut dyn Observer));
        observers.extend(evaluate.as_mut().map(|evaluate| evaluate as &mut dyn Observer));
        // After what its step writes, so that a resume from it repeats nothing.
        let mut checkpoints = every(reporting.checkpoint_every.get(), checkpoints);
        observers.push(&mut checkpoints);
        observers.push(&mut self.interrupt);
        let has_classes = self.config.model.classes.is_some();
        let real = |step| {
            let batches = train.batches(step).map(|i| self.batches.batch(i, &self.device));
            let batches: Vec<_> = batches.collect::<Result<_, _>>().map_err(TrainError::observer)?;
            let labels = if has_classes {
                train.batches(step).map(|i| self.batches.labels(i)).collect::<Option<Vec<_>>>()
            } else {
                None
            };
            Ok(Examples { images: Tensor::cat(&batches, 0)?, labels: labels.map(|labels| labels.concat()) })
        };
        let outcome = fit(trainer, horizon.steps, real, &mut observers);

        let healthy_until = watch.healthy_until();
        let broken = match &outcome {
            Err(TrainError::NonFinite { step, what, .. }) => Some(Verdict {
                failure: Failure::Divergence,
                since: *step,
                step: *step,
                evidence: format!("{what} is not finite"),
            }),
            _ => None,
        };
        if let Some(verdict) = &broken {
            Health::note(&journal, verdict)?;
        }
        let verdict = match reporting.health.on_failure {
            OnFailure::Warn => None,
            _ => broken.or_else(|| health.as_ref().and_then(Health::fatal).cloned()),
        };
        if let Some(verdict) = verdict {
            return Ok(Ended::Failing { verdict, healthy_until });
        }
        let outcome = outcome.with_context(|| failed(run))?;
        if let Some(health) = &health {
            health.conclude();
        }
        Ok(Ended::InOrder(outcome))
    }

    /// The last healthy state with both learning rates halved; none where the run ends here.
    pub(super) fn roll_back(&mut self, verdict: &Verdict, healthy_until: u64) -> Result<Option<Begun>> {
        let path = self.run.metrics();
        let why = match self.config.reporting.health.on_failure {
            OnFailure::Warn | OnFailure::Stop => "train.health.on-failure is \"stop\"",
            OnFailure::Rollback if records::rollback(&path)?.is_some() => "the run has gone back once before",
            OnFailure::Rollback if !verdict.failure.lower_lr_may_help() => "a lower lr would not help",
            OnFailure::Rollback => {
                let healthy = match rollback::way(&self.run, &self.config, healthy_until)? {
                    Way::To(path) => Some(Some(path)),
                    Way::ToTheStart => Some(None),
                    Way::None => None,
                };
                if let Some(healthy) = healthy {
                    rollback::go_back(&self.run, &mut self.config, verdict, healthy.as_deref())?;
                    return Ok(Some(self.begin(healthy.as_deref())?));
                }
                "no checkpoint is left from before it"
            }
        };
        tracing::error!("stopped, as {why}: {verdict}");
        tracing::info!("more: {} diagnose {}", program(), self.run.path().display());
        Journal::open(&path, verdict.step)?
            .append(&ActedLine { step: verdict.step, acted: Acted::Stopped })?;
        Ok(None)
    }
}

fn failed(run: &RunDir) -> String {
    match checkpoint::newest(&run.checkpoints()) {
        Ok(Some(newest)) => format!("training stopped; the last good checkpoint is {}", newest.display()),
        Ok(None) => "training stopped before its first checkpoint".to_owned(),
        Err(_) => "training stopped".to_owned(),
    }
}
