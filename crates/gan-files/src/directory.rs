//! Directories: what is in them, and how they are made and deleted.

use crate::abandon::Abandoned;
use crate::error::{FileError, Result};
use crate::fault::{Operation, point};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The names of unfinished files and directories begin with this. Six letters or digits follow.
pub(crate) const UNFINISHED: &str = ".gan-unfinished-";
const RANDOM: usize = 6;

/// Whether the name is one that this crate gives to unfinished files and directories.
#[must_use]
pub fn is_unfinished(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Creates a directory, and those above it that are missing.
///
/// # Errors
/// A path that cannot be created.
pub fn create_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let created = point(Operation::Create, path).and_then(|()| std::fs::create_dir_all(path));
    created.map_err(|e| FileError::new(path, e))
}

/// The paths in a directory, sorted.
///
/// # Errors
/// A directory that cannot be read.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = point(Operation::Read, directory)
        .and_then(|()| std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(|e: io::Error| FileError::new(directory, e))?;
    entries.sort();
    Ok(entries)
}

/// Deletes a file, if it is there.
///
/// # Errors
/// A file that cannot be deleted.
pub fn remove_file(path: &Path) -> Result<()> {
    match point(Operation::Delete, path).and_then(|()| std::fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Deletes a directory and all that is in it. A crash leaves the whole directory, or an unfinished
/// one that [`sweep`] deletes.
///
/// # Errors
/// A directory that cannot be deleted.
pub fn remove_directory(path: &Path) -> Result<()> {
    let at = |e| FileError::new(path, e);
    let unfinished = UnfinishedDirectory::beside(path)?;
    let moved = unfinished.path().join("deleted");
    point(Operation::Rename, path).and_then(|()| std::fs::rename(path, moved)).map_err(at)?;
    point(Operation::Delete, path).map_err(at)?;
    unfinished.directory.close().map_err(at)
}

/// Deletes the unfinished files and directories in `directory` that a crash left. It deletes no
/// others: see [`is_unfinished`].
///
/// # Errors
/// A directory that cannot be read; something in it that cannot be deleted.
pub fn sweep(directory: &Path) -> Result<()> {
    for path in entries(directory)? {
        let at = |e| FileError::new(&path, e);
        if !path.file_name().is_some_and(is_unfinished) {
            continue;
        }
        let found = std::fs::symlink_metadata(&path).map_err(at)?;
        if found.is_dir() {
            point(Operation::Delete, &path).and_then(|()| std::fs::remove_dir_all(&path)).map_err(at)?;
        } else if found.is_file() {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// Deletes the unfinished files of [`AtomicFile`](crate::AtomicFile) in `directory` whose process has
/// ended. Other processes may write to the directory at the same time: their files are locked, or
/// empty. What cannot be deleted stays, because it harms nobody.
pub fn sweep_dead(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| is_unfinished(&entry.file_name())) {
        let is_written = entry.metadata().is_ok_and(|found| found.is_file() && found.len() > 0);
        if is_written && std::fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A directory that gets its name when it is complete. It is deleted when it is dropped before.
#[derive(Debug)]
pub struct UnfinishedDirectory {
    directory: TempDir,
    _abandoned: Abandoned,
}

impl UnfinishedDirectory {
    /// Makes an empty directory beside `place`.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn beside(place: &Path) -> Result<Self> {
        let parent = crate::atomic::directory(place);
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).rand_bytes(RANDOM);
        // A temporary directory is private by default, but this one becomes an ordinary one.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let made = point(Operation::Create, place).and_then(|()| builder.tempdir_in(parent));
        let directory = made.map_err(|e| FileError::new(place, e))?;
        let abandoned = Abandoned::unless_dropped(directory.path());
        Ok(Self { directory, _abandoned: abandoned })
    }

    /// Where the directory is now.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Moves the directory to its place, where no file may be.
    ///
    /// # Errors
    /// A place where it cannot be moved. Then it is deleted.
    pub fn commit(self, place: &Path) -> Result<()> {
        let moved = point(Operation::Rename, place).and_then(|()| std::fs::rename(self.path(), place));
        moved.map_err(|e| FileError::new(place, e))?;
        // It was renamed, so there is nothing to delete.
        let _ = self.directory.keep();
        sync_directory(crate::atomic::directory(place))
    }
}

/// Makes renames in a directory survive a power failure, if the system can do this.
///
/// # Errors
/// A directory that cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> Result<()> {
    let flushed = point(Operation::Flush, directory)
        .and_then(|()| if cfg!(unix) { std::fs::File::open(directory)?.sync_all() } else { Ok(()) });
    flushed.map_err(|e| FileError::new(directory, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_things_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let others =
            [".gan-unfinished-", ".gan-unfinished-notes", ".gan-unfinished-a.b.cd", ".tmp-secret", "file"];
        for name in others {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::write(at(".gan-unfinished-Ab3dE9"), "half").unwrap();
        std::fs::create_dir(at(".gan-unfinished-000000")).unwrap();
        std::fs::write(at(".gan-unfinished-000000/half"), "half").unwrap();
        sweep(directory.path()).unwrap();
        let mut left: Vec<_> = others.into_iter().map(at).collect();
        left.sort();
        assert_eq!(entries(directory.path()).unwrap(), left);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("other")).unwrap();
        std::fs::write(at("other/kept"), "kept").unwrap();
        std::os::unix::fs::symlink(at("other"), at(".gan-unfinished-Ab3dE9")).unwrap();
        std::fs::create_dir(at("deleted")).unwrap();
        std::os::unix::fs::symlink(at("other"), at("deleted/link")).unwrap();
        sweep(directory.path()).unwrap();
        remove_directory(&at("deleted")).unwrap();
        assert_eq!(entries(directory.path()).unwrap(), [at(".gan-unfinished-Ab3dE9"), at("other")]);
        assert_eq!(std::fs::read(at("other/kept")).unwrap(), b"kept");
    }

    #[test]
    fn a_directory_gets_its_name_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        let unfinished = UnfinishedDirectory::beside(&place).unwrap();
        assert!(is_unfinished(unfinished.path().file_name().unwrap()));
        std::fs::write(unfinished.path().join("file"), "x").unwrap();
        unfinished.commit(&place).unwrap();
        assert_eq!(entries(directory.path()).unwrap(), std::slice::from_ref(&place));
        assert_eq!(entries(&place).unwrap(), [place.join("file")]);
        drop(UnfinishedDirectory::beside(&place).unwrap());
        assert_eq!(entries(directory.path()).unwrap(), [place]);
    }
}
