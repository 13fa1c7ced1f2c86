//! The sinks of a run's events. Each is one file, and one line in [`Sinks::of`].

mod grids;
mod journal;
mod log;
mod progress;
mod tensorboard;

use super::Event;
use crate::config::Config;
use crate::run_dir::RunDir;
use anyhow::Result;
pub(crate) use tensorboard::is_event_file;

/// Receives the events of a run, from its beginning to its end.
pub(crate) trait Sink {
    /// Receives an event. An error ends the run as a failure.
    fn hear(&mut self, event: &Event<'_>) -> Result<()>;
}

/// All sinks of a run.
pub(crate) struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    /// The sinks for the run in that directory. Each event goes from the first to the last, so an
    /// event that cannot be recorded is not shown.
    pub(crate) fn of(run: &RunDir, config: &Config) -> Result<Self> {
        let mut sinks: Vec<Box<dyn Sink>> =
            vec![Box::new(journal::Lines::of(run)), Box::new(grids::Grids::of(run))];
        if config.reporting.tensorboard {
            sinks.push(Box::new(tensorboard::TensorBoard::of(run, config)?));
        }
        sinks.push(Box::new(progress::Progress::default()));
        sinks.push(Box::new(log::Log::of(config)?));
        Ok(Self(sinks))
    }

    #[cfg(all(test, feature = "fused"))]
    pub(super) fn push(&mut self, sink: impl Sink + 'static) {
        self.0.push(Box::new(sink));
    }

    /// Sends the event to every sink, up to the first error. Every sink hears the end of the run,
    /// even if another sink fails.
    pub(super) fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        let heard = self.0.iter_mut().map(|sink| sink.hear(event));
        if let Event::Ended { .. } = event { heard.fold(Ok(()), Result::and) } else { heard.collect() }
    }
}
