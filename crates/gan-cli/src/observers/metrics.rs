//! Losses in `metrics.jsonl`.

use crate::journal::Journal;
use gan_train::{Horizon, Observer, StepReport, TrainError, Trainer};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// Appends a line for each step it is shown.
pub(crate) struct Metrics<'a> {
    journal: &'a Journal,
    images_per_step: u64,
    horizon: Horizon,
    /// Since when, and after how many seconds of training in earlier processes.
    clock: (Instant, f64),
    /// Step and time of the line before, for the rate.
    before: (u64, f64),
}

#[derive(Serialize)]
struct Line {
    step: u64,
    epoch: f64,
    images: u64,
    seconds: f64,
    images_per_s: f64,
    d_loss: f32,
    g_loss: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_real: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_fake: Option<f32>,
    lr_g: f64,
    lr_d: f64,
}

impl<'a> Metrics<'a> {
    /// To go on after `step` steps and `seconds` seconds.
    pub(crate) fn new(
        journal: &'a Journal,
        images_per_step: usize,
        horizon: &Horizon,
        step: u64,
        seconds: f64,
    ) -> Self {
        Self {
            journal,
            images_per_step: images_per_step as u64,
            horizon: *horizon,
            clock: (Instant::now(), seconds),
            before: (step, seconds),
        }
    }
}

impl Observer for Metrics<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        trainer.check_finite()?;
        let seconds = self.clock.1 + self.clock.0.elapsed().as_secs_f64();
        let (step_before, seconds_before) = std::mem::replace(&mut self.before, (report.step, seconds));
        let images = (report.step - step_before) * self.images_per_step;
        let line = Line {
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
        };
        self.journal.append(&line).map_err(TrainError::observer)?;
        Ok(ControlFlow::Continue(()))
    }
}
