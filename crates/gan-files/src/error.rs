//! What can go wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// The operating system's refusal, and of which file or directory.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// The operating system's reason.
    pub source: io::Error,
}

impl FileError {
    /// A refusal that concerns `path`.
    #[must_use]
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}
