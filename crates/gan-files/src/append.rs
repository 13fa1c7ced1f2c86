//! A file that grows by whole pieces.

use crate::error::{FileError, Result};
use crate::fault::{Operation, point};
use crate::read::check_own;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file to which pieces are appended. Each piece is one write, and it is on the disk when
/// [`Self::append`] returns. A crash leaves whole pieces, and at most one partial piece after them.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// A path that cannot be written; a symbolic link, or anything else that is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        check_own(path)?;
        let file = point(Operation::Create, path)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path));
        Ok(Self { path: path.to_owned(), file: file.map_err(|e| FileError::new(path, e))? })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// A full disk. Then a part of the piece may be in the file.
    pub fn append(&self, piece: &[u8]) -> Result<()> {
        self.try_append(piece).map_err(|e| FileError::new(&self.path, e))
    }

    fn try_append(&self, piece: &[u8]) -> std::io::Result<()> {
        if let Err(error) = point(Operation::Write, &self.path) {
            // A disk that fills up takes a part of the piece.
            let _ = (&self.file).write_all(&piece[..piece.len() / 2]);
            return Err(error);
        }
        (&self.file).write_all(piece)?;
        point(Operation::Flush, &self.path)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        Appender::open(&path).unwrap().append(b"one\n").unwrap();
        Appender::open(&path).unwrap().append(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (other, link) = (directory.path().join("other"), directory.path().join("link"));
        std::fs::write(&other, b"other").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert_eq!(Appender::open(&link).unwrap_err().path, link);
        assert_eq!(std::fs::read(&other).unwrap(), b"other");
    }
}
