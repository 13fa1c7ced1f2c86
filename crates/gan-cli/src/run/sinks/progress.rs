//! The sink for progress: a bar on a terminal that can show one, and log lines elsewhere.

use super::{Event, Sink};
use crate::logging::BARS;
use crate::records::LossesLine;
use crate::run::event::{Begun, Ending};
use crate::terminal;
use anyhow::Result;
use gan_train::StepReport;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

/// Shows both losses, `D(x)`, `D(G(z))`, the rate and the time left.
#[derive(Default)]
pub(super) struct Progress(Option<Shown>);

/// What is shown, once a run has begun.
struct Shown {
    bar: Option<ProgressBar>,
    begun: Begun,
    since: Instant,
}

impl Sink for Progress {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Begun(begun) = event {
            self.0 = Some(Shown::new(**begun));
        }
        let Some(shown) = &self.0 else { return Ok(()) };
        match event {
            Event::Step(report) => shown.advance(report),
            Event::Losses(line) => shown.log(line),
            Event::Ended { how: Ending::InOrder { .. } | Ending::Failing { .. }, .. } => shown.finish(),
            Event::Ended { how: Ending::Broken(_), .. }
            | Event::Begun(_)
            | Event::Known(_)
            | Event::Baseline(_)
            | Event::Drawn { .. }
            | Event::Checked { .. }
            | Event::Verdict(_)
            | Event::Evaluated(_)
            | Event::Saved { .. }
            | Event::WentBack(_) => (),
        }
        Ok(())
    }
}

impl Shown {
    fn new(begun: Begun) -> Self {
        let is_shown = terminal::can_move_the_cursor() && tracing::enabled!(tracing::Level::INFO);
        let bar = is_shown.then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {eta} left  {msg}");
            let bar = ProgressBar::new(begun.steps).with_position(begun.step);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // The steps of an earlier process would make the estimate wrong.
            bar.reset_eta();
            BARS.add(bar)
        });
        Self { bar, begun, since: Instant::now() }
    }

    fn advance(&self, report: &StepReport) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(report.step);
        let rate = bar.per_sec() * self.begun.images_per_step as f64;
        let losses = losses(report.d_loss, report.g_loss, report.certainty.map(Into::into));
        bar.set_message(format!("{rate:.0} images/s  {losses}"));
    }

    /// Writes a log line if there is no bar.
    fn log(&self, line: &LossesLine) {
        if self.bar.is_some() {
            return;
        }
        let (step, Begun { step: done, steps, images_per_step }) = (line.step, self.begun);
        let per_step = self.since.elapsed().as_secs_f64() / (step - done) as f64;
        let rate = images_per_step as f64 / per_step;
        let left = per_step * (steps - step) as f64;
        let losses = losses(line.d_loss, line.g_loss, line.d_real.zip(line.d_fake));
        tracing::info!("step {step}/{steps}  {rate:.0} images/s  {left:.0} s left  {losses}");
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

fn losses(d_loss: f32, g_loss: f32, certainty: Option<(f32, f32)>) -> String {
    let certainty = certainty.map(|(real, fake)| format!("  D(x) {real:.2}  D(G(z)) {fake:.2}"));
    format!("d_loss {d_loss:.3}  g_loss {g_loss:.3}{}", certainty.unwrap_or_default())
}
