//! Log lines on standard error that do not break the progress bar.

use crate::terminal;
use indicatif::MultiProgress;
use std::io::{Write, stderr};
use std::sync::LazyLock;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Every progress bar is registered here, so that a log line does not write over it.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Sends `tracing` events to standard error. They are in colour only on a terminal.
pub(crate) fn start(verbose: u8, quiet: u8) {
    let level = match (verbose, quiet) {
        (_, 2..) => Level::ERROR,
        (_, 1) => Level::WARN,
        (0, 0) => Level::INFO,
        (1, 0) => Level::DEBUG,
        (_, 0) => Level::TRACE,
    };
    // A library's own message beside ours would report one error twice.
    let others = if verbose > 1 { LevelFilter::TRACE } else { LevelFilter::OFF };
    let ours =
        ["gan_cli", "gan_data", "gan_metrics", "gan_models", "gan_train"].map(|target| (target, level));
    let layer = fmt::layer()
        .with_ansi(terminal::has_colours())
        .with_writer(|| AboveBars)
        .event_format(fmt::format().without_time().with_target(verbose > 1).compact())
        .with_filter(Targets::new().with_default(others).with_targets(ours));
    // It fails only if a subscriber is set already. The program sets no other.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        BARS.suspend(|| stderr().write_all(one_line(&String::from_utf8_lossy(bytes)).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

/// The text of an event as one line. A name with a line break could forge a message.
fn one_line(event: &str) -> String {
    // The formatter has escaped what starts a sequence in a message. What is left starts a colour.
    let line = terminal::escaped(event.strip_suffix('\n').unwrap_or(event), &['\t', '\u{1b}']);
    line + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_event_is_one_line() {
        assert_eq!(super::one_line("ERROR a\nb\rc\td\n"), "ERROR a\\u000ab\\u000dc\td\n");
        assert_eq!(super::one_line("no end"), "no end\n");
    }
}
