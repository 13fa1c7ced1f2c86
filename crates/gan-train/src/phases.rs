//! The time that each part of a step takes.

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

    /// Ends a phase. The times of a phase that occurs several times in a step are added.
    pub(crate) fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        match self.durations.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, duration)) => *duration += now - self.last,
            None => self.durations.push((phase, now - self.last)),
        }
        self.last = now;
    }

    /// The parts in order, with their times.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.durations.iter().copied()
    }
}
