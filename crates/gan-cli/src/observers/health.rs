//! Checks now and then whether the run is healthy, and says what is wrong.

use crate::config::{HealthConfig, OnFailure};
use crate::journal::Journal;
use crate::records::{self, Acted, BaselineLine, HealthLine, VerdictLine};
use anyhow::Context;
use candle_core::{Device, Tensor};
use gan_data::Batches;
use gan_metrics::Classifier;
use gan_metrics::classifier::CHUNK;
use gan_metrics::health::{Monitor, Player, Probe, Verdict, Vitals, Window};
use gan_ops::rng::Stream;
use gan_train::{Norms, Observer, StepReport, TrainError, Trainer};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::Instant;

/// Real images that pixels, classes and features are compared with, and whose nearest neighbours are looked for.
const REAL: usize = 5_000;
/// Real images of which nearest neighbours and moments can be taken.
const FEWEST: usize = 3;
/// Images that go through the networks layer by layer: a maximum needs no more.
const ACTIVATIONS: usize = 32;

/// What the watch over a run knows and a checkpoint is to keep.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Steps that the run may have to go back to, the last healthy one at the end.
    pub(crate) ways_back: RefCell<Vec<u64>>,
    /// The steps since the last check.
    pub(crate) window: RefCell<Window>,
}

impl Watch {
    /// The last step without a sign of any failure.
    pub(crate) fn healthy_until(&self) -> u64 {
        self.ways_back.borrow().last().copied().unwrap_or_default()
    }
}

/// Looks at every step's losses, and every so often at the networks and what they draw.
pub(crate) struct Health<'a> {
    journal: &'a Journal,
    config: HealthConfig,
    probe: Probe,
    monitor: Monitor,
    real: Tensor,
    watch: &'a Watch,
    fatal: Option<Verdict>,
}

impl<'a> Health<'a> {
    /// Goes on from what the journal holds. None if no checks are wanted.
    pub(crate) fn open(
        journal: &'a Journal,
        config: HealthConfig,
        batches: &Batches,
        trainer: &Trainer,
        watch: &'a Watch,
    ) -> anyhow::Result<Option<Self>> {
        if config.every.is_never() {
            return Ok(None);
        }
        let images = batches.dataset().len();
        if images < FEWEST {
            tracing::warn!("{images} training images are too few to tell whether the run is healthy");
            return Ok(None);
        }
        let probe = Probe::new(
            Classifier::of(batches.dataset().name(), &Device::Cpu)?,
            batches.spread(REAL, CHUNK, &Device::Cpu).map(|images| anyhow::Ok(images?)),
            config.samples,
        )?;
        let step = trainer.steps_done();
        let monitor = if let Some(monitor) = records::replay(journal.path())? {
            for Verdict { failure, since, .. } in monitor.verdicts() {
                tracing::info!("known already: {} since step {since}", failure.name());
            }
            monitor
        } else {
            let weights = [trainer.generator().params().norm()?, trainer.discriminator().params().norm()?];
            let baseline = probe.baseline(weights);
            journal.append(&BaselineLine { step, baseline: baseline.clone() })?;
            let monitor = Monitor::new(baseline, step);
            say(journal, step, monitor.verdicts())?;
            monitor
        };
        // Whoever goes on with a run knows its verdicts: only new ones end it, and one that the run was killed with.
        let is_new = config.on_failure != OnFailure::Warn
            && !records::has_acted(journal.path(), Acted::Stopped, step)?;
        let fatal = monitor.verdicts().iter().find(|verdict| is_new && verdict.step == step).cloned();
        watch.ways_back.replace(monitor.ways_back());
        let device = trainer.generator().device();
        let real = batches.spread(ACTIVATIONS, ACTIVATIONS, device).next().context("no images")??;
        Ok(Some(Self { journal, config, probe, monitor, real, watch, fatal }))
    }

    /// Says once more, at the end, what was seen.
    pub(crate) fn conclude(&self) {
        let verdicts = self.monitor.verdicts();
        for verdict in verdicts {
            let now =
                if self.monitor.still_shows(verdict.failure) { "to the end" } else { "gone at the end" };
            tracing::warn!("verdict ({now}): {verdict}");
        }
        if verdicts.is_empty() && !self.monitor.history().is_empty() {
            let checks = self.monitor.history().len();
            tracing::info!("no verdict in {checks} checks{}", records::patience(&self.monitor));
        }
    }

    /// Notes a verdict that was found elsewhere.
    pub(crate) fn note(journal: &Journal, verdict: &Verdict) -> anyhow::Result<()> {
        journal.append(&VerdictLine { step: verdict.step, verdict: verdict.clone() })
    }

    /// The verdict that ended the run.
    pub(crate) fn fatal(&self) -> Option<&Verdict> {
        self.fatal.as_ref()
    }

    fn check(&mut self, trainer: &Trainer) -> anyhow::Result<()> {
        let Some(losses) = self.watch.window.borrow_mut().look() else { return Ok(()) };
        let (start, step) = (Instant::now(), trainer.steps_done());
        let generator = trainer.generator();
        let mut stream = Stream::new(trainer.seed(), "health", step);
        let latents = generator.config().latents();
        let z = latents.draw(&mut stream, self.config.samples, generator.device())?;
        let few = z.narrow(0, 0, ACTIVATIONS.min(self.config.samples))?;
        let activations =
            [generator.largest_activation(&few)?, trainer.discriminator().largest_activation(&self.real)?];
        let vitals = Vitals {
            losses,
            generator: player(trainer.norms_g()?),
            discriminator: player(trainer.norms_d()?),
            largest_activation: activations.map(f64::from).into_iter().fold(0., f64::max),
            images: self.probe.look(&generator.generate(&z)?)?,
        }
        .finite();
        tracing::debug!("looked at the run's health in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
        self.journal.append(&HealthLine { step, health: vitals.clone() })?;
        let verdicts = self.monitor.observe(step, vitals);
        self.watch.ways_back.replace(self.monitor.ways_back());
        say(self.journal, step, &verdicts)?;
        if self.config.on_failure != OnFailure::Warn && self.fatal.is_none() {
            self.fatal = verdicts.into_iter().next();
        }
        Ok(())
    }
}

fn player(norms: Norms) -> Player {
    // A network of zeros moves infinitely far with its first update: as good as any large number.
    let over = |value: f64| value / norms.weight.max(f64::MIN_POSITIVE);
    Player { weight: norms.weight, gradient: over(norms.gradient), update: over(norms.update) }
}

fn say(journal: &Journal, step: u64, verdicts: &[Verdict]) -> anyhow::Result<()> {
    for verdict in verdicts {
        tracing::warn!("{verdict}");
        journal.append(&VerdictLine { step, verdict: verdict.clone() })?;
    }
    Ok(())
}

impl Observer for Health<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        let losses = [report.d_loss, report.g_loss].map(f64::from);
        let certainty = report.certainty.map(|certainty| certainty.map(f64::from));
        self.watch.window.borrow_mut().add(losses, certainty, report.largest_logit.into());
        if self.config.every.falls_on(report.step) {
            trainer.check_finite()?;
            self.check(trainer).map_err(TrainError::observer)?;
        }
        Ok(if self.fatal.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
