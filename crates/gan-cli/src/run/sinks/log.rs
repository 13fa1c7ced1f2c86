//! The sink for log lines: what was found during a run, and how it ended.

use super::{Event, Sink};
use crate::advice::Adviser;
use crate::config::Config;
use crate::records::{self, EvaluationLine, RollbackLine};
use crate::run::event::Ending;
use crate::terminal::counted;
use anyhow::Result;
use gan_metrics::Evaluation;
use gan_metrics::health::Monitor;

/// Writes each finding as text.
pub(super) struct Log {
    adviser: Adviser,
}

impl Log {
    pub(super) fn of(config: &Config) -> Result<Self> {
        Ok(Self { adviser: Adviser::of(config)? })
    }
}

impl Sink for Log {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Known(verdict) => {
                tracing::info!("known already: {} since step {}", verdict.failure.name(), verdict.since);
            }
            Event::Checked { took, .. } => {
                tracing::debug!("looked at the run's health in {:.1} ms", took.as_secs_f64() * 1e3);
            }
            Event::Verdict(line) => tracing::warn!("{}", self.adviser.said(&line.verdict)),
            Event::Evaluated(line) => tracing::info!("{}", describe(line)),
            Event::Saved { step, path } => {
                tracing::debug!("saved a checkpoint at step {step}: {}", path.display());
            }
            Event::WentBack(RollbackLine { step, rollback }) => tracing::warn!(
                "going back to step {step} with lr {} for the generator, {} for the discriminator",
                rollback.lr_g,
                rollback.lr_d
            ),
            Event::Ended { step, how } => end(*step, how, &self.adviser),
            Event::Begun(_)
            | Event::Baseline(_)
            | Event::Step(_)
            | Event::Losses(_)
            | Event::Drawn { .. } => (),
        }
        Ok(())
    }
}

fn describe(line: &EvaluationLine) -> String {
    let EvaluationLine { step, distance, evaluation, .. } = line;
    let Evaluation { modes, accuracy, classes, bins, .. } = evaluation;
    let covered = match (modes, accuracy, classes, bins) {
        (_, Some(accuracy), ..) => format!(", {:.1}% of the classes asked for", accuracy.overall * 100.),
        (Some(modes), ..) => format!(", {} of {} modes (KL {:.3})", modes.covered, modes.of, modes.kl),
        (_, _, Some(classes), _) => format!(", {} of {} classes", classes.covered, classes.of),
        (.., Some(bins)) => format!(", {} of {} bins differ", bins.different, bins.of),
        (None, None, None, None) => String::new(),
    };
    format!(
        "step {step}: {distance}-fd {:.2}, precision {:.3}, recall {:.3}{covered}",
        evaluation.frechet_distance, evaluation.precision, evaluation.recall,
    )
}

fn end(step: u64, how: &Ending<'_>, adviser: &Adviser) {
    match how {
        Ending::InOrder { outcome, health } => {
            tracing::debug!("training ended after step {step}: {outcome:?}");
            if let Some(monitor) = health {
                conclude(monitor, adviser);
            }
        }
        Ending::Failing { verdict, why } => {
            tracing::error!("stopped, as {why}: {}", adviser.said(verdict));
        }
        Ending::Broken(error) => tracing::debug!("training broke after step {step}: {error:#}"),
    }
}

/// Repeats the verdicts at the end of the run.
fn conclude(monitor: &Monitor, adviser: &Adviser) {
    let verdicts = monitor.verdicts();
    for verdict in verdicts {
        let now = if monitor.still_shows(verdict.failure) { "to the end" } else { "gone at the end" };
        tracing::warn!("verdict ({now}): {}", adviser.said(verdict));
    }
    if verdicts.is_empty() && !monitor.history().is_empty() {
        let checks = counted(monitor.history().len(), "check");
        tracing::info!("no verdict in {checks}{}", records::patience(monitor));
        if let Some(doubt) = records::unformed(monitor) {
            tracing::warn!("{doubt}");
        }
    }
}
