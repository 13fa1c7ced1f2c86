//! The clock of a step.

use std::time::{Duration, Instant};

/// How long each part of a step took.
#[derive(Debug, Clone)]
pub struct Phases {
    last: Instant,
    durations: Vec<(&'static str, Duration)>,
}

impl Phases {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), durations: vec![] }
    }

    pub(crate) fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.durations.push((phase, now - self.last));
        self.last = now;
    }

    /// The parts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.durations.iter().copied()
    }
}
