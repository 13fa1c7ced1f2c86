//! Loads training data, with a progress bar while the pictures of a folder are decoded.

use crate::logging::BARS;
use crate::terminal;
use gan_data::{DataConfig, DataError, Dataset, Split};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Loading that takes no longer than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Loads a split of `config` as [`DataConfig::load`] does.
pub(crate) fn load(
    config: &DataConfig,
    split: Split,
    size: usize,
    channels: usize,
) -> Result<Dataset, DataError> {
    watched(|progress| config.load_watched(split, size, channels, progress))
}

/// Does some work that reports how many pictures are done, and of how many. Shows a bar if this
/// takes long and standard error is a terminal.
pub(crate) fn watched<T>(work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T) -> T {
    let is_shown = terminal::can_move_the_cursor() && tracing::enabled!(tracing::Level::INFO);
    let (bar, start) = (OnceLock::new(), Instant::now());
    let progress = |done: usize, all: usize| {
        if !is_shown || start.elapsed() < PATIENCE {
            return;
        }
        let bar = bar.get_or_init(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} pictures  {eta} left");
            let bar = ProgressBar::new(all as u64);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            BARS.add(bar)
        });
        bar.set_position(done as u64);
    };
    let result = work(&progress);
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    result
}
