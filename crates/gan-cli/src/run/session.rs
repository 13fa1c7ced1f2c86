//! Runs training from a state to the end. A verdict may lead back to an earlier state.

use super::beginning;
use super::rollback::{self, Way};
use super::{Duties, Ending, Event, Plan, Sinks};
use crate::config::{Config, OnFailure};
use crate::draw::class_counts;
use crate::journal::Journal;
use crate::ranks;
use crate::records::{self, Acted, ActedLine};
use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use gan_files::write_atomically;
use gan_metrics::health::{Monitor, Verdict, Window};
use gan_train::{Observer, Outcome, TrainError, Trainer, checkpoint, fit};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A run and its sinks.
pub(crate) struct Session {
    pub(crate) plan: Plan,
    pub(crate) sinks: Sinks,
}

/// A state from which training can continue.
pub(crate) struct State {
    pub(crate) trainer: Trainer,
    /// Seconds of training so far.
    pub(super) seconds: f64,
    pub(super) rest: Resumable,
}

/// What a run needs to continue besides the networks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resumable {
    /// The steps since the last check of the run's health.
    pub(super) window: Window,
    /// Whether the images after the last step are still to be drawn, because a signal came.
    #[serde(default)]
    pub(super) owes_images: bool,
    /// Whether the evaluation after the last step is still to be done, because a signal ended it.
    pub(super) owes_evaluation: bool,
}

/// Why training stopped.
enum Halt {
    /// The monitor is there if the run's health was checked.
    InOrder(Outcome, Option<Box<Monitor>>),
    /// A verdict stopped it, and the configuration does not allow it to continue.
    Failing {
        verdict: Verdict,
        /// The step of the last check without any symptom.
        healthy_until: u64,
    },
}

/// Why a run ended, unless an error ended it.
enum End {
    InOrder(Outcome, Option<Box<Monitor>>),
    /// A verdict ended it. The text says why the run did not go back.
    Failing(Verdict, &'static str),
}

impl Session {
    pub(crate) fn write_config(&mut self) -> Result<()> {
        let Plan { run, config, .. } = &mut self.plan;
        let text = config.to_toml()?;
        // A write that fails may have left the file, so the rest of the run must stay too.
        run.keep();
        Ok(write_atomically(&run.config(), text.as_bytes())?)
    }

    /// The state to continue from: that of a checkpoint, or the initial one.
    pub(crate) fn begin(&self, checkpoint: Option<&Path>) -> Result<State> {
        let Plan { config: Config { seed, model, train, .. }, device, .. } = &self.plan;
        let Some(path) = checkpoint else {
            let trainer = match &train.init {
                Some(init) => {
                    let initial = init.load(model, *seed, device)?;
                    beginning::announce(init, &initial, &self.plan)?;
                    Trainer::from_initial(initial, train, *seed)?
                }
                None => Trainer::new(model, train, *seed, device)?,
            };
            let trainer = self.with_ranks(trainer, None)?;
            return Ok(State { trainer, seconds: 0., rest: Resumable::default() });
        };
        let settings = self.plan.settings()?;
        let (trainer, state) = checkpoint::load(path, model, train, *seed, &settings, device)?;
        let rest = serde_json::from_value(state.notes)
            .with_context(|| format!("{}: state.json: notes of another version", path.display()))?;
        let trainer = self.with_ranks(trainer, Some(path))?;
        Ok(State { trainer, seconds: state.seconds, rest })
    }

    /// Lets the other ranks begin with the same networks, which are those of `checkpoint` or new ones.
    fn with_ranks(&self, trainer: Trainer, checkpoint: Option<&Path>) -> Result<Trainer> {
        let leader = &self.plan.leader;
        leader.begin(&self.plan, &trainer, checkpoint)?;
        let trainer =
            trainer.with_class_counts(class_counts(&self.plan.config.model, self.plan.batches.dataset()));
        let group = ranks::of_device(leader.group(), trainer.generator().device())?;
        Ok(trainer.in_group(group)?)
    }

    /// Trains to the end, and tells the sinks how the run ended. `None` if it ended with a
    /// verdict.
    pub(crate) fn run(&mut self, state: &mut State) -> Result<Option<Outcome>> {
        let end = self.train(state);
        let step = state.trainer.steps_done();
        let told = self.sinks.hear(&match &end {
            Ok(End::InOrder(outcome, health)) => {
                Event::Ended { step, how: Ending::InOrder { outcome: *outcome, health: health.as_deref() } }
            }
            Ok(End::Failing(verdict, why)) => {
                Event::Ended { step: verdict.step, how: Ending::Failing { verdict, why } }
            }
            Err(error) => Event::Ended { step, how: Ending::Broken(error) },
        });
        // The training error is reported first. It explains more than an error of a sink after it.
        let end = end?;
        told?;
        Ok(match end {
            End::InOrder(outcome, _) => Some(outcome),
            End::Failing(..) => None,
        })
    }

    /// Trains to the end. If a verdict requires it, the run goes back to an earlier state first.
    fn train(&mut self, state: &mut State) -> Result<End> {
        loop {
            match self.go(state)? {
                Halt::InOrder(outcome, health) => return Ok(End::InOrder(outcome, health)),
                Halt::Failing { verdict, healthy_until } => match self.roll_back(&verdict, healthy_until)? {
                    Ok(before) => *state = before,
                    Err(why) => return Ok(End::Failing(verdict, why)),
                },
            }
        }
    }

    /// Trains until the last step, a signal or a verdict.
    fn go(&mut self, state: &mut State) -> Result<Halt> {
        let Self { plan, sinks } = self;
        let mut duties = Duties::open(plan, sinks, state)?;
        duties.begin(&state.trainer)?;
        // Outside of this scope a signal ends the process at once, because nothing is lost then.
        let saving = plan.interrupt.saves();
        let outcome = match duties.health.fatal() {
            // The verdict was reached before the first step.
            Some(_) if state.trainer.steps_done() == 0 => Ok(Outcome::Stopped),
            // The run was killed after the verdict. The last files may be missing.
            Some(_) => duties.on_finish(&state.trainer).map(|()| Outcome::Stopped),
            None => {
                let real = |step| plan.leader.step().and_then(|()| plan.real(step));
                fit(&mut state.trainer, plan.horizon.steps, real, &mut [&mut duties])
            }
        };
        drop(saving);
        // A file that could not be written is reported before a verdict of the same step. The resume
        // writes it, and acts upon the verdict then.
        let outcome = match outcome {
            Err(error) if !matches!(error, TrainError::NonFinite { .. }) => {
                return Err(error).with_context(|| failed(&plan.run));
            }
            outcome => outcome,
        };
        let verdict = duties.verdict(&outcome)?;
        if plan.config.reporting.health.on_failure != OnFailure::Warn
            && let Some(verdict) = verdict
        {
            return Ok(Halt::Failing { verdict, healthy_until: duties.health.healthy_until() });
        }
        let health = duties.health.into_monitor();
        Ok(Halt::InOrder(outcome.with_context(|| failed(&plan.run))?, health))
    }

    /// The last healthy state, with both learning rates halved. If the run ends here, the text
    /// says why.
    fn roll_back(&mut self, verdict: &Verdict, healthy_until: u64) -> Result<Result<State, &'static str>> {
        let Plan { run, config, .. } = &self.plan;
        let why = match config.reporting.health.on_failure {
            OnFailure::Warn | OnFailure::Stop => "train.health.on-failure is \"stop\"",
            OnFailure::Rollback if records::rollback(&run.metrics())?.is_some() => {
                "the run has gone back once before"
            }
            OnFailure::Rollback if !verdict.failure.lower_lr_may_help() => "a lower lr would not help",
            OnFailure::Rollback => {
                let healthy = match rollback::way(&self.plan, healthy_until)? {
                    Way::To(path) => Some(Some(path)),
                    Way::ToTheStart => Some(None),
                    Way::None => None,
                };
                if let Some(healthy) = healthy {
                    let Plan { run, config, .. } = &mut self.plan;
                    let line = rollback::go_back(run, config, verdict, healthy.as_deref())?;
                    self.sinks.hear(&Event::WentBack(&line))?;
                    return Ok(Ok(self.begin(healthy.as_deref())?));
                }
                "no checkpoint is left from before it"
            }
        };
        let step = verdict.step;
        Journal::open(&run.metrics(), step)?.append(&ActedLine { step, acted: Acted::Stopped })?;
        Ok(Err(why))
    }
}

fn failed(run: &RunDir) -> String {
    match checkpoint::newest(&run.checkpoints()) {
        Ok(Some(newest)) => format!("training stopped (the last good checkpoint is {})", newest.display()),
        Ok(None) => "training stopped before its first checkpoint".to_owned(),
        Err(_) => "training stopped".to_owned(),
    }
}
