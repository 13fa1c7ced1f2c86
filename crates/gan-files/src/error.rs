//! Errors of files.

use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// An error of the operating system, with the file or directory that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// The operating system's reason.
    pub source: io::Error,
}

impl FileError {
    /// Makes the error for `path`.
    #[must_use]
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}
