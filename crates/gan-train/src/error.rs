//! Errors of a run.

use gan_models::ModelError;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration value that cannot be used.
    #[error("{field}: {problem}")]
    Config {
        /// The dotted key, such as `train.generator.lr`.
        field: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// Images or latents that do not make a whole number of batches.
    #[error("{what}: expected {expected}, found {found}")]
    Batch {
        /// What was counted: real images or latents.
        what: &'static str,
        /// The expected number.
        expected: String,
        /// The number found.
        found: usize,
    },
    /// A number of the training that is not finite.
    #[error("step {step}: {what} is not finite; {diagnosis}")]
    NonFinite {
        /// The step, counted from 1.
        step: u64,
        /// The value: a loss or a tensor.
        what: String,
        /// The first tensor that is not finite. If there is none, the possible causes.
        diagnosis: String,
    },
    /// A checkpoint that cannot be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A checkpoint that is incomplete or damaged.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file or directory.
        path: PathBuf,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A checkpoint of another version of this crate.
    #[error("{}: expected format {expected}, found {found}: written by another version", path.display())]
    Format {
        /// The checkpoint's `state.json`.
        path: PathBuf,
        /// The format that this version reads.
        expected: u32,
        /// The format of the file.
        found: u32,
    },
    /// A checkpoint of a run with other settings.
    #[error(
        "{}: {field} was {checkpoint} in the run to resume, the configuration says {config}",
        path.display()
    )]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// The dotted key.
        field: String,
        /// Its value in the checkpoint.
        checkpoint: String,
        /// Its value now.
        config: String,
    },
    /// Another rank of the group that cannot go on, or does not answer.
    #[error("rank {rank}: {problem}")]
    Rank {
        /// Number of the rank.
        rank: usize,
        /// What happened to it.
        problem: String,
    },
    /// An error of the data, from the function that [`fit`](crate::fit) gets the real images from.
    #[error(transparent)]
    Data(Box<dyn std::error::Error + Send + Sync>),
    /// An error of an observer, such as a sample that could not be drawn or a log that could not
    /// be written.
    #[error(transparent)]
    Observer(Box<dyn std::error::Error + Send + Sync>),
    /// An error of a model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

impl From<gan_files::FileError> for TrainError {
    fn from(gan_files::FileError { path, source }: gan_files::FileError) -> Self {
        Self::Io { path, source }
    }
}

impl TrainError {
    /// Makes the error for a value of `field` that cannot be used.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// Makes the error for a rank that did not answer for this time.
    pub(crate) fn silent(rank: usize, waited: std::time::Duration) -> Self {
        Self::rank(rank, format!("no answer for {} s", waited.as_secs()))
    }

    /// Makes the error for a rank that cannot go on.
    pub fn rank(rank: usize, problem: impl Into<String>) -> Self {
        Self::Rank { rank, problem: problem.into() }
    }

    /// Makes an error of the data. An error of this crate or of candle stays what it is.
    pub fn data(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let own = |error: Box<dyn std::error::Error + Send + Sync>| error.downcast::<Self>();
        own(error.into()).map_or_else(
            |other| match other.downcast::<candle_core::Error>() {
                Ok(error) => Self::Candle(*error),
                Err(other) => Self::Data(other),
            },
            |own| *own,
        )
    }

    /// Makes an error of an observer.
    pub fn observer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Observer(error.into())
    }

    pub(crate) fn checkpoint(path: &Path, problem: impl ToString) -> Self {
        Self::Checkpoint { path: path.to_owned(), problem: problem.to_string() }
    }
}
