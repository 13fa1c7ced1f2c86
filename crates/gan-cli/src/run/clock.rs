//! How long a run has been training.

use std::time::Instant;

/// Counts the seconds of training. It includes those of earlier processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    before: f64,
}

impl Clock {
    /// Starts the clock at `before` seconds.
    pub(super) fn start(before: f64) -> Self {
        Self { start: Instant::now(), before }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}
