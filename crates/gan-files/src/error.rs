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
        Self { path: path.to_owned(), source: without_path(source) }
    }
}

/// The error without the random path that the crate tempfile adds to the system's text. The message
/// would have two paths.
fn without_path(error: io::Error) -> io::Error {
    let text = error.get_ref().map(ToString::to_string).unwrap_or_default();
    match text.rsplit_once(" at path ") {
        Some((text, _)) => io::Error::new(error.kind(), text),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::{AtomicFile, UnfinishedDirectory};

    #[test]
    fn an_error_names_one_path() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("absent/file");
        let of_file = AtomicFile::create(&place).unwrap_err();
        let of_directory = UnfinishedDirectory::beside(&place).unwrap_err();
        for error in [of_file, of_directory] {
            let reason = std::fs::read(&place).unwrap_err();
            assert_eq!(error.source.kind(), reason.kind());
            assert_eq!(error.to_string(), format!("{}: {reason}", place.display()));
        }
    }
}
