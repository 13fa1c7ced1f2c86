//! Turns a result into an exit code and one message.

use crate::signals::Interrupted;
use gan_data::DataError;
use gan_models::ModelError;
use gan_train::TrainError;
use std::process::ExitCode;

/// A mistake in the command line or the configuration: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A mistake in the command line or the configuration.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// How a command ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Interrupted,
    /// A verdict on the run's health stopped the run. It was reported when it was found.
    Failing,
}

/// The exit code of [`End::Failing`].
const FAILING: u8 = 3;

/// 128 + SIGINT, which is the convention of shells.
pub(crate) const INTERRUPTED: u8 = 130;

/// Prints an error as one message and returns the exit code.
pub(crate) fn code(result: anyhow::Result<End>) -> ExitCode {
    let error = match result {
        Ok(End::Done) => return ExitCode::SUCCESS,
        Ok(End::Interrupted) => return ExitCode::from(INTERRUPTED),
        Ok(End::Failing) => return ExitCode::from(FAILING),
        Err(error) if error.is::<Interrupted>() => {
            tracing::warn!("interrupted: nothing was written");
            return ExitCode::from(INTERRUPTED);
        }
        Err(error) => error,
    };
    // The reader of the output closed the pipe because it needs no more (`gan-cli inspect ... |
    // head -1`). This is not a failure.
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let message = message(&error);
    // candle appends a backtrace to its messages if RUST_BACKTRACE is set.
    let frames = message.match_indices('\n').find(|(at, _)| is_frame(&message[at + 1..]));
    let shown = frames.map_or(&*message, |(at, _)| &message[..at]);
    tracing::error!("{}", shown.trim_end());
    let is_usage = error.chain().any(|cause| {
        cause.is::<Usage>()
            || matches!(cause.downcast_ref(), Some(ModelError::Config { .. }))
            || matches!(cause.downcast_ref(), Some(TrainError::Config { .. } | TrainError::Mismatch { .. }))
            || cause.downcast_ref().is_some_and(is_absent)
            || matches!(cause.downcast_ref(), Some(error) if is_no_directory(error))
    });
    ExitCode::from(if is_usage { 2 } else { 1 })
}

/// Whether a path leads through a file.
fn is_no_directory(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotADirectory
}

/// Whether a setting names data that are not there, or cannot be.
fn is_absent(error: &DataError) -> bool {
    use DataError::{MissingDir, MissingFile, NoHub, NoImages, NoSplit, NotDirectory, Value};
    matches!(
        error,
        MissingDir { .. }
            | MissingFile { .. }
            | NoHub { .. }
            | NoImages { .. }
            | NoSplit { .. }
            | NotDirectory { .. }
            | Value { .. }
    )
}

/// An error with its causes. Each text and each path is there only once.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // A transparent wrapper repeats the text of its source.
        if cause.starts_with(&message) {
            message = cause;
        } else if !message.contains(&cause) {
            let repeats = |(of, _): &(&str, &str)| {
                message.strip_suffix(of).is_some_and(|before| before.is_empty() || before.ends_with(' '))
            };
            // The context and the cause may both name the file.
            let rest = cause.split_once(": ").filter(repeats).map_or(&*cause, |(_, rest)| rest);
            message = format!("{message}: {rest}");
        }
    }
    message
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn is_frame(line: &str) -> bool {
    line.trim_start_matches(' ').split_once(':').is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::message;
    use anyhow::anyhow;

    #[test]
    fn a_message_names_nothing_twice() {
        for (causes, expected) in [
            (&["x.npy: not there", "--samples x.npy"][..], "--samples x.npy: not there"),
            (&["not there", "x.npy: not there", "x.npy"], "x.npy: not there"),
            (&["a: not there", "data"], "data: a: not there"),
            (&["y.npy: not there", "--samples x.npy"], "--samples x.npy: y.npy: not there"),
            (&["not there", "cannot read x", "--data-dir"], "--data-dir: cannot read x: not there"),
        ] {
            let (first, others) = causes.split_first().unwrap();
            let error = others.iter().fold(anyhow!(*first), |error, context| error.context(*context));
            assert_eq!(message(&error), expected);
        }
    }
}
