//! The events of a run, for the sinks that record or show them.

use crate::records::{BaselineLine, EvaluationLine, HealthLine, LossesLine, RollbackLine, VerdictLine};
use gan_metrics::health::{Monitor, Verdict};
use gan_train::{Outcome, StepReport};
use std::path::Path;
use std::time::Duration;

/// Something that happens in a run, with all that is known about it. An event that is a line of
/// `metrics.jsonl` contains that line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// Training begins, or continues from a checkpoint. This event comes first, and again after
    /// [`Event::WentBack`].
    Begun(&'a Begun),
    /// An earlier process reached this verdict.
    Known(&'a Verdict),
    /// The measurements of the data, before the first check.
    Baseline(&'a BaselineLine),
    /// A step is done.
    Step(&'a StepReport),
    /// The losses and rates of a step, every `log-every` steps.
    Losses(&'a LossesLine),
    /// The generator drew images from the fixed latents. `png` is the file of their grid.
    Drawn { step: u64, png: &'a [u8] },
    /// The run's health was checked.
    Checked { line: &'a HealthLine, took: Duration },
    /// Something is wrong with the run.
    Verdict(&'a VerdictLine),
    /// The generator was evaluated.
    Evaluated(&'a EvaluationLine),
    /// A checkpoint was written, after the step's other output.
    Saved { step: u64, path: &'a Path },
    /// The run went back. All that followed the given step is undone, also on the disk.
    WentBack(&'a RollbackLine),
    /// The run ended after `step` steps, in whatever way. No event follows.
    Ended { step: u64, how: Ending<'a> },
}

/// Where training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Number of steps that are done.
    pub(crate) step: u64,
    /// Number of steps in the run.
    pub(crate) steps: u64,
    /// Number of real images in a step.
    pub(crate) images_per_step: usize,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    /// The last step or a signal ended it. `health` is the monitor, if the run's health was
    /// checked.
    InOrder { outcome: Outcome, health: Option<&'a Monitor> },
    /// A verdict ended it. `why` says why it did not go back.
    Failing { verdict: &'a Verdict, why: &'a str },
    /// An error ended it. The program reports the error.
    Broken(&'a anyhow::Error),
}
