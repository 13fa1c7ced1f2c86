//! Reading, and what kind of file a path names.

use crate::error::{FileError, Result};
use crate::fault::{Operation, point};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Reads a whole file. It may be behind a symbolic link.
///
/// # Errors
/// A path that cannot be read; anything but a regular file. A pipe or a device could block for
/// ever, or have no end.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = point(Operation::Read, path)
        .and_then(|()| std::fs::metadata(path))
        .and_then(|found| if found.is_file() { Ok(()) } else { Err(not_regular(&found)) })
        .and_then(|()| std::fs::read(path));
    bytes.map_err(|e| FileError::new(path, e))
}

/// Reads a regular file, a pipe or a device up to `most` bytes. It is for text that a user hands
/// over, which may come from a shell's `<(...)`.
///
/// # Errors
/// A path that cannot be read.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = point(Operation::Read, path)
        .and_then(|()| File::open(path))
        .and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|e| FileError::new(path, e))?;
    Ok(bytes)
}

/// Opens the file of a lock, and creates it if it is missing. The caller locks it.
///
/// # Errors
/// A path that cannot be opened; a path that [`check_own`] refuses.
pub fn open_lock(path: &Path) -> Result<File> {
    check_own(path)?;
    let file = point(Operation::Create, path)
        .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(path));
    file.map_err(|e| FileError::new(path, e))
}

/// Checks a path that a program is about to write: there is nothing, or a regular file. A link
/// would lead the writing elsewhere.
///
/// # Errors
/// A symbolic link, a directory, a pipe or a device.
pub fn check_own(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) => Err(FileError::new(path, not_regular(&found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::new(path, error)),
    }
}

/// The error for something that is not a regular file.
pub(crate) fn not_regular(found: &Metadata) -> io::Error {
    let what = if found.is_symlink() {
        "a symbolic link"
    } else if found.is_dir() {
        "a directory"
    } else {
        "a pipe, a socket or a device"
    };
    io::Error::other(format!("expected a regular file, found {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"content").unwrap();
        assert_eq!(read(&path).unwrap(), b"content");
        check_own(&path).unwrap();
        check_own(&directory.path().join("absent")).unwrap();
        let problem = read(directory.path()).unwrap_err();
        assert_eq!(problem.path, directory.path());
        assert!(problem.to_string().ends_with("expected a regular file, found a directory"), "{problem}");
        assert!(check_own(directory.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_read_and_not_written_and_devices_are_neither() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&path, b"content").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link).unwrap(), b"content");
        assert!(check_own(&link).unwrap_err().to_string().ends_with("found a symbolic link"));
        let problem = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(problem.ends_with("found a pipe, a socket or a device"), "{problem}");
        assert_eq!(read_at_most(Path::new("/dev/zero"), 9).unwrap(), [0; 9]);
        assert!(open_lock(&link).is_err());
    }
}
