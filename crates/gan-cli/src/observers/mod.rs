//! What a run shows and leaves behind.

mod checkpoints;
mod interrupt;
mod metrics;
mod progress;
mod samples;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use interrupt::Interrupt;
pub(crate) use metrics::Metrics;
pub(crate) use progress::Progress;
pub(crate) use samples::Samples;
