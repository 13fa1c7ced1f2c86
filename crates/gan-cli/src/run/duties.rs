//! What a run does after each step, and in which order.

use super::checkpoints::{Checkpoints, Notes};
use super::evaluation::{Evaluation, Judged};
use super::health::Health;
use super::losses::Losses;
use super::samples::{Drawn, Samples};
use super::{Begun, Clock, Event, Plan, Resumable, Sinks, Snapshot, State};
use crate::records::VerdictLine;
use anyhow::Result;
use gan_metrics::health::{Failure, Verdict};
use gan_train::{Observer, Outcome, StepReport, TrainError, Trainer};
use std::ops::ControlFlow;

/// Does all work that is due after a step, and sends its events to the sinks.
pub(super) struct Duties<'a> {
    plan: &'a Plan,
    sinks: &'a mut Sinks,
    losses: Losses<'a>,
    samples: Samples,
    /// Whether a signal ended the drawing of images that were due.
    owes_images: bool,
    pub(super) health: Health,
    evaluation: Option<Evaluation<'a>>,
    /// Whether a signal ended the last evaluation.
    owes_evaluation: bool,
    checkpoints: Checkpoints<'a>,
}

impl<'a> Duties<'a> {
    /// Prepares the work of a run that continues from `state`.
    pub(super) fn open(plan: &'a Plan, sinks: &'a mut Sinks, state: &mut State) -> Result<Self> {
        let (trainer, clock) = (&state.trainer, Clock::start(state.seconds));
        Ok(Self {
            losses: Losses::open(plan, trainer.steps_done(), clock),
            samples: Samples::open(plan, trainer)?,
            owes_images: std::mem::take(&mut state.rest.owes_images),
            health: Health::open(plan, trainer, std::mem::take(&mut state.rest.window))?,
            evaluation: Evaluation::open(plan)?,
            owes_evaluation: std::mem::take(&mut state.rest.owes_evaluation),
            checkpoints: Checkpoints::open(plan, trainer.steps_done(), clock)?,
            plan,
            sinks,
        })
    }

    /// Reports where training begins, and what is known about the run's health at that point.
    pub(super) fn begin(&mut self, trainer: &Trainer) -> Result<()> {
        let step = trainer.steps_done();
        let (steps, images_per_step) = (self.plan.horizon.steps, self.plan.config.images_per_step());
        self.sinks.hear(&Event::Begun(&Begun { step, steps, images_per_step }))?;
        self.health.begin(step, self.sinks)?;
        if self.owes_images {
            let drawn = self.samples.draw(&mut Snapshot::of(trainer), &self.plan.leader, self.sinks)?;
            self.owes_images = drawn == Drawn::GivenUp;
        }
        if let Some(evaluation) = self.evaluation.as_mut().filter(|_| self.owes_evaluation) {
            self.owes_evaluation =
                evaluation.judge(&mut Snapshot::of(trainer), self.sinks)? == Judged::Interrupted;
        }
        Ok(())
    }

    /// What is wrong with the run. It is either a number that is not finite, which this function
    /// reports, or a verdict of a check.
    pub(super) fn verdict(&mut self, outcome: &gan_train::Result<Outcome>) -> Result<Option<Verdict>> {
        let Err(TrainError::NonFinite { step, what, .. }) = outcome else {
            return Ok(self.health.fatal().cloned());
        };
        let evidence = format!("{what} is not finite");
        let verdict = Verdict { failure: Failure::Divergence, since: *step, step: *step, evidence };
        self.sinks.hear(&Event::Verdict(&VerdictLine { step: *step, verdict: verdict.clone() }))?;
        Ok(Some(verdict))
    }

    fn after(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>> {
        let (step, mut now, leader) = (report.step, Snapshot::of(trainer), &self.plan.leader);
        self.health.note(report);
        self.sinks.hear(&Event::Step(report))?;
        if self.losses.is_due(step) {
            let line = self.losses.line(now.trainer()?, report);
            self.sinks.hear(&Event::Losses(&line))?;
        }
        if self.samples.is_due(step) {
            self.owes_images = self.samples.draw(&mut now, leader, self.sinks)? == Drawn::GivenUp;
        }
        if self.health.is_due(step) {
            self.health.check(&mut now, leader, self.sinks)?;
        }
        if let Some(evaluation) = self.evaluation.as_mut().filter(|evaluation| evaluation.is_due(step)) {
            self.owes_evaluation = evaluation.judge(&mut now, self.sinks)? == Judged::Interrupted;
        }
        // The checkpoint is written after the step's other output, so that a resume from it repeats
        // nothing.
        if self.checkpoints.is_due(step) {
            self.save(&mut now)?;
        }
        let is_last = step >= self.plan.horizon.steps;
        if is_last || self.health.fatal().is_some() || self.plan.interrupt.has_come() {
            // The last output is made here, because it can use the same snapshot.
            self.finish(&mut now)?;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Draws and saves the final state of the run, unless this has been done.
    fn finish(&mut self, now: &mut Snapshot<'_>) -> Result<()> {
        // The run without the interruption would have no images of this step.
        let is_over = now.step() >= self.plan.horizon.steps || !self.plan.interrupt.has_come();
        if is_over && !self.samples.has_drawn(now.step()) {
            // A resume draws those of the last step again.
            let _ = self.samples.draw(now, &self.plan.leader, self.sinks)?;
        }
        if !self.checkpoints.has_saved(now.step()) {
            self.save(now)?;
        }
        Ok(())
    }

    fn save(&mut self, now: &mut Snapshot<'_>) -> Result<()> {
        let (owes_images, owes_evaluation) = (self.owes_images, self.owes_evaluation);
        let state = Resumable { window: self.health.window().clone(), owes_images, owes_evaluation };
        let notes = Notes { state: &state, ways_back: self.health.ways_back() };
        self.checkpoints.save(now, notes, self.sinks)
    }
}

impl Observer for Duties<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        self.after(trainer, report).map_err(plain)
    }

    fn on_finish(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        self.finish(&mut Snapshot::of(trainer)).map_err(plain)
    }
}

/// Returns the training error itself if it is one, because a number that is not finite leads to a
/// verdict wherever it is found.
fn plain(error: anyhow::Error) -> TrainError {
    error.downcast::<TrainError>().unwrap_or_else(TrainError::observer)
}
