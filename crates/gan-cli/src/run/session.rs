//! Runs training from a state to the end. A verdict may lead back to an earlier state.

use super::rollback::{self, Way};
use super::{Duties, Ending, Event, Plan, Sinks};
use crate::config::{Config, OnFailure};
use crate::journal::Journal;
use crate::records::{self, Acted, ActedLine};
use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use gan_files::write_atomically;
use gan_metrics::health::{Verdict, Window};
use gan_train::{Outcome, Trainer, checkpoint, fit};
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
    /// The steps since the last check of the run's health.
    pub(super) window: Window,
}

/// Why training stopped.
enum Halt {
    InOrder(Outcome),
    /// A verdict stopped it, and the configuration does not allow it to continue.
    Failing {
        verdict: Verdict,
        /// The step of the last check without any symptom.
        healthy_until: u64,
    },
}

impl Session {
    pub(crate) fn write_config(&self) -> Result<()> {
        let Plan { run, config, .. } = &self.plan;
        Ok(write_atomically(&run.config(), config.to_toml()?.as_bytes())?)
    }

    /// The state to continue from: that of a checkpoint, or the initial one.
    pub(crate) fn begin(&self, checkpoint: Option<&Path>) -> Result<State> {
        let Plan { config: Config { seed, model, train, .. }, device, .. } = &self.plan;
        let Some(path) = checkpoint else {
            let trainer = Trainer::new(model, train, *seed, device)?;
            return Ok(State { trainer, seconds: 0., window: Window::default() });
        };
        let settings = self.plan.settings()?;
        let (trainer, state) = checkpoint::load(path, model, train, *seed, &settings, device)?;
        // A version without health checks wrote this checkpoint, so the window starts empty.
        let window = serde_json::from_value(state.notes).unwrap_or_default();
        Ok(State { trainer, seconds: state.seconds, window })
    }

    /// Trains to the end. If a verdict requires it, the run goes back to an earlier state first.
    /// `None` if the run ends with a verdict.
    pub(crate) fn run(&mut self, state: &mut State) -> Result<Option<Outcome>> {
        loop {
            match self.go(state)? {
                Halt::InOrder(outcome) => return Ok(Some(outcome)),
                Halt::Failing { verdict, healthy_until } => match self.roll_back(&verdict, healthy_until)? {
                    Some(before) => *state = before,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Trains until the last step, a signal or a verdict.
    fn go(&mut self, state: &mut State) -> Result<Halt> {
        let Self { plan, sinks } = self;
        let mut duties = Duties::open(plan, sinks, state)?;
        duties.begin(&state.trainer)?;
        let outcome = match duties.health.fatal() {
            // The verdict was reached before the first step, or before the run was killed.
            Some(_) => Ok(Outcome::Stopped),
            None => fit(&mut state.trainer, plan.horizon.steps, |step| plan.real(step), &mut [&mut duties]),
        };
        let verdict = duties.verdict(&outcome)?;
        if plan.config.reporting.health.on_failure != OnFailure::Warn
            && let Some(verdict) = verdict
        {
            return Ok(Halt::Failing { verdict, healthy_until: duties.health.healthy_until() });
        }
        let told = duties.end(state.trainer.steps_done(), &outcome);
        let outcome = outcome.with_context(|| failed(&plan.run))?;
        // The training error is reported first. It explains more than an error of a sink after it.
        told?;
        Ok(Halt::InOrder(outcome))
    }

    /// The last healthy state, with both learning rates halved. `None` if the run ends here.
    fn roll_back(&mut self, verdict: &Verdict, healthy_until: u64) -> Result<Option<State>> {
        let Plan { run, config, .. } = &mut self.plan;
        let why = match config.reporting.health.on_failure {
            OnFailure::Warn | OnFailure::Stop => "train.health.on-failure is \"stop\"",
            OnFailure::Rollback if records::rollback(&run.metrics())?.is_some() => {
                "the run has gone back once before"
            }
            OnFailure::Rollback if !verdict.failure.lower_lr_may_help() => "a lower lr would not help",
            OnFailure::Rollback => {
                let healthy = match rollback::way(run, config, healthy_until)? {
                    Way::To(path) => Some(Some(path)),
                    Way::ToTheStart => Some(None),
                    Way::None => None,
                };
                if let Some(healthy) = healthy {
                    let line = rollback::go_back(run, config, verdict, healthy.as_deref())?;
                    self.sinks.hear(&Event::WentBack(&line))?;
                    return Ok(Some(self.begin(healthy.as_deref())?));
                }
                "no checkpoint is left from before it"
            }
        };
        let step = verdict.step;
        Journal::open(&run.metrics(), step)?.append(&ActedLine { step, acted: Acted::Stopped })?;
        self.sinks.hear(&Event::Ended { step, how: Ending::Failing { verdict, why } })?;
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
