//! What happens in a run, for whoever writes it down or shows it.

use crate::records::{BaselineLine, EvaluationLine, HealthLine, LossesLine, RollbackLine, VerdictLine};
use candle_core::Tensor;
use gan_metrics::health::{Monitor, Verdict};
use gan_train::{Outcome, StepReport, TrainError};
use std::path::Path;
use std::time::Duration;

/// Something that happens in a run, with all that is known of it. What is a line of
/// `metrics.jsonl` carries that line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// Training begins, or goes on from a checkpoint. It comes first, and once more after
    /// [`Event::WentBack`].
    Begun(&'a Begun),
    /// An earlier process came to this verdict.
    Known(&'a Verdict),
    /// What the data are like, before the first check.
    Baseline(&'a BaselineLine),
    /// A step is done.
    Step(&'a StepReport),
    /// Its losses and rates: every `log-every` steps.
    Losses(&'a LossesLine),
    /// The generator drew `images: [N, C, H, W]` in [-1, 1], from latents that stay the same.
    Drawn { step: u64, images: &'a Tensor },
    /// The run's health was checked.
    Checked { line: &'a HealthLine, took: Duration },
    /// Something is wrong with the run.
    Verdict(&'a VerdictLine),
    /// The generator was judged.
    Evaluated(&'a EvaluationLine),
    /// A checkpoint was written, after all that its step brings.
    Saved { step: u64, path: &'a Path },
    /// The run went back: what came after that step is undone, on the disk too.
    WentBack(&'a RollbackLine),
    /// The run ended after `step` steps. Nothing follows.
    Ended { step: u64, how: Ending<'a> },
}

/// Where training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Steps done.
    pub(crate) step: u64,
    /// Steps in the run.
    pub(crate) steps: u64,
    /// Real images in a step.
    pub(crate) images_per_step: usize,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    /// After its last step or by a signal, with what its health was, if it was checked.
    InOrder { outcome: Outcome, health: Option<&'a Monitor> },
    /// By a verdict, after which it did not go back for this reason.
    Failing { verdict: &'a Verdict, why: &'a str },
    /// By an error, which the program reports.
    Broken(&'a TrainError),
}
