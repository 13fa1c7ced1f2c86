//! Checks at intervals whether the run is healthy, and reports what is wrong.

use super::{Event, Plan, Sinks, Snapshot};
use crate::config::{HealthConfig, OnFailure};
use crate::judge;
use crate::ranks::{Leader, Weights};
use crate::records::{self, Acted, BaselineLine, HealthLine, VerdictLine};
use crate::terminal::counted;
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use gan_metrics::classifier::CHUNK;
use gan_metrics::health::{Monitor, Player, Probe, Verdict, Vitals, Window};
use gan_models::proportional_labels;
use gan_ops::rng::Stream;
use gan_train::{Norms, StepReport, Trainer};
use std::time::Instant;

/// Number of real images for the comparison of pixels, classes and features, and for the search of
/// nearest neighbours.
const REAL: usize = 5_000;
/// Minimum number of real images for which nearest neighbours and moments are defined.
const FEWEST: usize = 3;
/// Number of images that pass through the networks layer by layer. This is enough to find the
/// largest activation.
const ACTIVATIONS: usize = 32;

/// Records the losses of every step. At intervals it checks the networks and the images that they
/// draw.
pub(super) struct Health {
    config: HealthConfig,
    /// The steps since the last check. It stays unchanged if there are no checks.
    window: Window,
    /// `None` if checks are turned off or impossible.
    watch: Option<Watch>,
    /// Steps that the run may have to go back to. The last one is the last healthy step.
    ways_back: Vec<u64>,
    fatal: Option<Verdict>,
}

/// The data that a check needs.
struct Watch {
    probe: Probe,
    monitor: Monitor,
    real: Tensor,
    /// Whether an earlier process recorded the baseline.
    is_known: bool,
}

impl Health {
    /// Continues from the journal, and from the steps since the last check.
    pub(super) fn open(plan: &Plan, trainer: &Trainer, window: Window) -> Result<Self> {
        let config = plan.config.reporting.health;
        let watch = if config.every.is_never() { None } else { Watch::open(plan, trainer)? };
        let mut health = Self { config, window, watch, ways_back: vec![], fatal: None };
        if let Some(Watch { monitor, .. }) = &health.watch {
            let step = trainer.steps_done();
            // A resumed run ignores its old verdicts. It ends only at a new verdict, or at one that
            // the run was killed with before it acted.
            let is_new = config.on_failure != OnFailure::Warn
                && !records::has_acted(&plan.run.metrics(), Acted::Stopped, step)?;
            health.fatal = monitor.verdicts().iter().find(|verdict| is_new && verdict.step == step).cloned();
            health.ways_back = monitor.ways_back();
        }
        Ok(health)
    }

    /// Reports what is known before the step that follows `step`.
    pub(super) fn begin(&self, step: u64, sinks: &mut Sinks) -> Result<()> {
        let Some(Watch { monitor, is_known, .. }) = &self.watch else { return Ok(()) };
        if *is_known {
            return monitor.verdicts().iter().try_for_each(|verdict| sinks.hear(&Event::Known(verdict)));
        }
        sinks.hear(&Event::Baseline(&BaselineLine { step, baseline: monitor.baseline().clone() }))?;
        say(step, monitor.verdicts(), sinks)
    }

    /// Records the losses of a step.
    pub(super) fn note(&mut self, report: &StepReport) {
        if self.watch.is_some() {
            let losses = [report.d_loss, report.g_loss].map(f64::from);
            let certainty = report.certainty.map(|certainty| certainty.map(f64::from));
            self.window.add(losses, certainty, report.largest_logit.into());
        }
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        self.watch.is_some() && self.config.every.falls_on(step)
    }

    /// Checks the networks. The other ranks of `leader` help to draw.
    pub(super) fn check(&mut self, now: &mut Snapshot<'_>, leader: &Leader, sinks: &mut Sinks) -> Result<()> {
        let (start, step, trainer) = (Instant::now(), now.step(), now.trainer()?);
        let (Some(watch), Some(losses)) = (&mut self.watch, self.window.look()) else { return Ok(()) };
        let generator = trainer.generator();
        let mut stream = Stream::new(trainer.seed(), "health", step);
        let (latents, count) = (generator.config().latents(), self.config.samples);
        let z = match trainer.class_counts() {
            [] => latents.draw(&mut stream, count, generator.device())?,
            // The images are compared with the data, whose classes need not be equally frequent.
            counts => {
                latents.draw_of(&mut stream, &proportional_labels(counts, count), generator.device())?
            }
        };
        let few = z.narrow(0, 0, ACTIVATIONS.min(self.config.samples))?;
        let activations =
            [generator.largest_activation(&few)?, trainer.discriminator().largest_activation(&watch.real)?];
        let health = Vitals {
            losses,
            generator: player(trainer.norms_g()?),
            discriminator: player(trainer.norms_d()?),
            largest_activation: activations.map(f64::from).into_iter().fold(0., f64::max),
            images: watch.probe.look(&leader.generate(generator, Weights::Present, &z)?)?,
        }
        .finite();
        let line = HealthLine { step, health };
        sinks.hear(&Event::Checked { line: &line, took: start.elapsed() })?;
        let verdicts = watch.monitor.observe(step, line.health);
        self.ways_back = watch.monitor.ways_back();
        say(step, &verdicts, sinks)?;
        if self.config.on_failure != OnFailure::Warn && self.fatal.is_none() {
            self.fatal = verdicts.into_iter().next();
        }
        Ok(())
    }

    /// The verdict that ends the run.
    pub(super) fn fatal(&self) -> Option<&Verdict> {
        self.fatal.as_ref()
    }

    /// The last step at which no failure showed any sign.
    pub(super) fn healthy_until(&self) -> u64 {
        self.ways_back.last().copied().unwrap_or_default()
    }

    /// Steps whose checkpoints are kept in addition to the newest. There are none unless the run
    /// may go back.
    pub(super) fn ways_back(&self) -> &[u64] {
        if self.config.on_failure == OnFailure::Rollback { &self.ways_back } else { &[] }
    }

    /// The steps since the last check. A checkpoint keeps them, so that a resume gets the same
    /// numbers.
    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// The monitor with the results of all checks.
    pub(super) fn into_monitor(self) -> Option<Box<Monitor>> {
        self.watch.map(|watch| Box::new(watch.monitor))
    }
}

impl Watch {
    fn open(plan: &Plan, trainer: &Trainer) -> Result<Option<Self>> {
        let (batches, step) = (&plan.batches, trainer.steps_done());
        let images = batches.dataset().len();
        if images < FEWEST {
            let images = counted(images, "training image");
            tracing::warn!("health checks need at least {FEWEST} training images, and there are {images}");
            return Ok(None);
        }
        let probe = Probe::new(
            judge::features(None, None, plan.config.data.name)?,
            batches.spread(REAL, CHUNK, &Device::Cpu).map(|images| anyhow::Ok(images?)),
            plan.config.data.range.ends().map(f64::from),
            plan.config.reporting.health.samples,
        )?;
        let known = records::replay(&plan.run.metrics(), step)?;
        let weights = match &known {
            Some(known) => known.baseline().weights,
            None => [trainer.generator().params().norm()?, trainer.discriminator().params().norm()?],
        };
        let baseline = probe.baseline(weights);
        // A program of another version may have measured other features. Then the checks begin again.
        let known = known.filter(|known| known.baseline().features == baseline.features);
        let is_known = known.is_some();
        let monitor = known.unwrap_or_else(|| Monitor::new(baseline, step));
        let device = trainer.generator().device();
        let real = batches.spread(ACTIVATIONS, ACTIVATIONS, device).next().context("no images")??;
        Ok(Some(Self { probe, monitor, real, is_known }))
    }
}

fn player(norms: Norms) -> Player {
    // A network whose weights are all zero has an infinite relative update at first. Any large
    // number serves as well.
    let over = |value: f64| value / norms.weight.max(f64::MIN_POSITIVE);
    Player { weight: norms.weight, gradient: over(norms.gradient), update: over(norms.update) }
}

fn say(step: u64, verdicts: &[Verdict], sinks: &mut Sinks) -> Result<()> {
    for verdict in verdicts {
        sinks.hear(&Event::Verdict(&VerdictLine { step, verdict: verdict.clone() }))?;
    }
    Ok(())
}
