//! Errors of a model: in its configuration, its file or its arithmetic.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A configuration value that cannot be used.
    #[error("{field}: {problem}")]
    Config {
        /// The dotted key, such as `model.latent-dim`.
        field: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file with the wrong content.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A file of weights that does not say which model they belong to, such as a PyTorch state
    /// dict.
    #[error("{}: has no model description: expected a generator that was trained here", path.display())]
    Undescribed {
        /// The file.
        path: PathBuf,
    },
    /// Weights that do not fit the network.
    #[error("{0}")]
    Weights(String),
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

impl From<gan_files::FileError> for ModelError {
    fn from(gan_files::FileError { path, source }: gan_files::FileError) -> Self {
        Self::Io { path, source }
    }
}

impl ModelError {
    /// Makes the error for a value of `field` that cannot be used.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// Makes the error for a file at `path` that cannot be used.
    #[must_use]
    pub fn file(path: &std::path::Path, problem: impl ToString) -> Self {
        Self::File { path: path.to_owned(), problem: problem.to_string() }
    }
}
