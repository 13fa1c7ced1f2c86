//! Who hears of what happens in a run: a file each, and a line each in [`Sinks::of`].

mod grids;
mod journal;
mod log;
mod progress;

use super::Event;
use crate::run_dir::RunDir;
use anyhow::Result;

/// Hears what happens in a run, from its beginning to its end.
pub(crate) trait Sink {
    /// Takes an event; an error ends the run as a failure.
    fn hear(&mut self, event: &Event<'_>) -> Result<()>;
}

/// Every sink of a run.
pub(crate) struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    /// Those of a run in that directory. Each event goes from the first to the last: what cannot
    /// be written down is not shown.
    pub(crate) fn of(run: &RunDir) -> Self {
        Self(vec![
            Box::new(journal::Lines::of(run)),
            Box::new(grids::Grids::of(run)),
            Box::new(progress::Progress::default()),
            Box::new(log::Log),
        ])
    }

    #[cfg(test)]
    pub(super) fn push(&mut self, sink: impl Sink + 'static) {
        self.0.push(Box::new(sink));
    }

    /// Tells every sink.
    pub(super) fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.hear(event))
    }
}
