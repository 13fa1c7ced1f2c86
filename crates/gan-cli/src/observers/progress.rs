//! A progress bar on a terminal, a log line now and then elsewhere.

use crate::logging::BARS;
use gan_train::{Observer, StepReport, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Instant;

/// Shows both losses and `D(x)`, `D(G(z))`, with rate and time left.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    log_every: u64,
    images_per_step: usize,
    start: (Instant, u64),
}

impl Progress {
    /// For a run of `steps` steps of which `done` are done.
    pub(crate) fn new(steps: u64, done: u64, log_every: u64, images_per_step: usize) -> Self {
        let shown = std::io::stderr().is_terminal() && tracing::enabled!(tracing::Level::INFO);
        let bar = shown.then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {eta} left  {msg}");
            let bar = ProgressBar::new(steps).with_position(done);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // Steps of an earlier process would spoil the estimate.
            bar.reset_eta();
            BARS.add(bar)
        });
        Self { bar, steps, log_every, images_per_step, start: (Instant::now(), done) }
    }

    fn log(&self, report: &StepReport) {
        let step = report.step;
        let (start, done) = self.start;
        let per_step = start.elapsed().as_secs_f64() / (step - done) as f64;
        let rate = self.images_per_step as f64 / per_step;
        let left = per_step * (self.steps - step) as f64;
        tracing::info!(
            "step {step}/{}  {rate:.0} images/s  {left:.0} s left  {}",
            self.steps,
            losses(report)
        );
    }
}

fn losses(report: &StepReport) -> String {
    let StepReport { d_loss, g_loss, certainty, .. } = report;
    let certainty = certainty.map(|[real, fake]| format!("  D(x) {real:.2}  D(G(z)) {fake:.2}"));
    format!("d_loss {d_loss:.3}  g_loss {g_loss:.3}{}", certainty.unwrap_or_default())
}

impl Observer for Progress {
    fn on_step(&mut self, _: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        match &self.bar {
            Some(bar) => {
                bar.set_position(report.step);
                let rate = bar.per_sec() * self.images_per_step as f64;
                bar.set_message(format!("{rate:.0} images/s  {}", losses(report)));
            }
            None if report.step.is_multiple_of(self.log_every) => self.log(report),
            None => (),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_finish(&mut self, _: &Trainer) -> gan_train::Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
        Ok(())
    }
}
