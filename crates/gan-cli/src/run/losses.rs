//! Makes the lines of losses and rates.

use super::{Clock, Plan};
use crate::config::Every;
use crate::records::LossesLine;
use gan_train::{Horizon, StepReport, Trainer};

/// Computes the rates over the steps between two lines.
pub(super) struct Losses<'a> {
    every: Every,
    horizon: &'a Horizon,
    images_per_step: u64,
    clock: Clock,
    /// Step and time of the previous line, for the rate.
    before: (u64, f64),
}

impl<'a> Losses<'a> {
    /// Prepares for a run that continues after `step` steps.
    pub(super) fn open(plan: &'a Plan, step: u64, clock: Clock) -> Self {
        let (every, images_per_step) =
            (plan.config.reporting.log_every, plan.config.images_per_step() as u64);
        Self { every, horizon: &plan.horizon, images_per_step, clock, before: (step, clock.seconds()) }
    }

    /// If the configuration asks for no lines, only the last step has one.
    pub(super) fn is_due(&self, step: u64) -> bool {
        self.every.falls_on(step) || (self.every.is_never() && step == self.horizon.steps)
    }

    pub(super) fn line(&mut self, trainer: &Trainer, report: &StepReport) -> LossesLine {
        let seconds = self.clock.seconds();
        let (step_before, seconds_before) = std::mem::replace(&mut self.before, (report.step, seconds));
        let images = (report.step - step_before) * self.images_per_step;
        LossesLine {
            step: report.step,
            epoch: self.horizon.epochs(report.step),
            images: report.step * self.images_per_step,
            seconds: (seconds * 1e3).round() / 1e3,
            images_per_s: (images as f64 / (seconds - seconds_before).max(1e-9) * 10.).round() / 10.,
            d_loss: report.d_loss,
            g_loss: report.g_loss,
            penalty: Some(report.penalty).filter(|penalty| *penalty != 0.),
            d_real: report.certainty.map(|certainty| certainty[0]),
            d_fake: report.certainty.map(|certainty| certainty[1]),
            lr_g: trainer.optimizer_g().hyper().lr,
            lr_d: trainer.optimizer_d().hyper().lr,
        }
    }
}
