//! Log lines on standard error that do not tear the progress bar.

use indicatif::MultiProgress;
use std::io::{IsTerminal, Write, stderr};
use std::sync::LazyLock;
use tracing::Level;
use tracing_subscriber::fmt;

/// Every progress bar hangs here, so that a log line can step over it.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Sends `tracing` events to standard error, in colour only on a terminal.
pub(crate) fn start(verbose: u8, quiet: u8) {
    let level = match (verbose, quiet) {
        (_, 2..) => Level::ERROR,
        (_, 1) => Level::WARN,
        (0, 0) => Level::INFO,
        (1, 0) => Level::DEBUG,
        (_, 0) => Level::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(|| AboveBars)
        .event_format(fmt::format().without_time().with_target(verbose > 1).compact());
    // Fails only if a subscriber is set already, and this is the program's one.
    let _ = subscriber.try_init();
}

struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        BARS.suspend(|| stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}
