//! How a file is written: under another name in the same directory, then flushed, then renamed. At
//! last the directory is flushed.

use crate::abandon::Abandoned;
use crate::directory::{UNFINISHED, sync_directory};
use crate::error::{FileError, Result};
use crate::fault::{Operation, point};
use crate::read::not_regular;
use std::fs::Metadata;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, PersistError, TempPath};

/// Writes a whole file with [`AtomicFile`].
///
/// # Errors
/// A path that cannot be written. Then the old file is unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| FileError::new(path, e))?;
    file.commit()
}

/// A file that is written beside its place and moved there when it is complete. So a reader finds
/// the old file or the new one, even after a crash. Writes are buffered.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    file: BufWriter<Unfinished>,
}

/// The file under its other name.
#[derive(Debug)]
struct Unfinished(NamedTempFile, Abandoned);

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        point(Operation::Write, self.0.path())?;
        // Its own `write` names the temporary file in errors.
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Unfinished {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl AtomicFile {
    /// Opens a temporary file in the directory of `path`. It gets the permissions of an older file.
    ///
    /// # Errors
    /// A directory that cannot be written; a pipe, a device or a write-protected file at `path`, which
    /// the renaming would replace.
    pub fn create(path: &Path) -> Result<Self> {
        let older = std::fs::metadata(path).ok().filter(|found| !found.is_dir());
        if let Some(found) = &older {
            check_replaceable(found).map_err(|e| FileError::new(path, e))?;
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // A temporary file is private by default, but this one becomes an ordinary file, so only
        // the umask restricts it.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = point(Operation::Create, path).and_then(|()| builder.tempfile_in(directory(path)));
        let file = file.map_err(|e| FileError::new(path, e))?;
        let abandoned = Abandoned::unless_dropped(file.path());
        let file = Unfinished(file, abandoned);
        if let Some(older) = older {
            // A file system without permissions has none to lose.
            let _ = file.0.as_file().set_permissions(older.permissions());
        }
        // `sweep_dead` leaves locked files alone. A file system without locks has no such sweeping.
        let _ = file.0.as_file().try_lock();
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Flushes the file to the disk and moves it to its place. Without this call, the file is
    /// deleted when it is dropped.
    ///
    /// # Errors
    /// A full disk; a place where the file cannot be moved. Then the old file is unchanged.
    pub fn commit(self) -> Result<()> {
        self.commit_by(|file, path| file.persist(path).map(drop))
    }

    /// The same for a place where nothing may be, not even what was put there since
    /// [`create`](Self::create).
    ///
    /// # Errors
    /// The errors of [`commit`](Self::commit); something at the place.
    pub fn commit_new(self) -> Result<()> {
        self.commit_by(|file, path| match file.persist_noclobber(path) {
            Err(refused) if can_only_rename(&refused.error, path) => refused.file.persist(path).map(drop),
            done => done.map(drop),
        })
    }

    fn commit_by(
        self,
        rename: impl FnOnce(NamedTempFile, &Path) -> std::result::Result<(), PersistError>,
    ) -> Result<()> {
        let Self { path, file } = self;
        let at = |e| FileError::new(&path, e);
        let Unfinished(file, _abandoned) = file.into_inner().map_err(|e| at(e.into_error()))?;
        point(Operation::Flush, &path).and_then(|()| file.as_file().sync_all()).map_err(at)?;
        point(Operation::Rename, &path).map_err(at)?;
        rename(file, &path).map_err(|e| at(appeared(e.error)))?;
        sync_directory(directory(&path))
    }
}

/// Moves a file to a place where nothing may be. Both are in one file system.
///
/// # Errors
/// A file that cannot be moved; something at the place.
pub fn move_new(from: &Path, to: &Path) -> Result<()> {
    let at = |e| FileError::new(to, e);
    point(Operation::Rename, to).map_err(at)?;
    match TempPath::try_from_path(from).map_err(at)?.persist_noclobber(to) {
        Err(refused) if can_only_rename(&refused.error, to) => {
            refused.path.persist(to).map_err(|e| at(e.error))
        }
        done => done.map_err(|e| at(appeared(e.error))),
    }
}

/// Says why a place that was free is not free any more.
#[must_use]
pub fn appeared(error: io::Error) -> io::Error {
    let taken = [io::ErrorKind::AlreadyExists, io::ErrorKind::DirectoryNotEmpty].contains(&error.kind());
    if !taken {
        return error;
    }
    io::Error::new(
        error.kind(),
        format!("{error}: it appeared while the command worked, so it was not replaced"),
    )
}

/// Whether the system cannot move a file without replacing another one, which is not there.
fn can_only_rename(refused: &io::Error, place: &Path) -> bool {
    refused.kind() != io::ErrorKind::AlreadyExists && place.symlink_metadata().is_err()
}

/// Refuses what is at the place of a new file and is no file that could be written.
fn check_replaceable(found: &Metadata) -> io::Result<()> {
    if !found.is_file() {
        return Err(not_regular(found));
    }
    if found.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is write-protected"));
    }
    Ok(())
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The parent of a bare file name is the empty path, which cannot be opened.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_the_old_one_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_atomically(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert!(names(directory.path()).iter().any(|name| name.starts_with(UNFINISHED)));
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn what_was_written_takes_the_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_atomically(&path, b"old").unwrap();
        // These are more bytes than the buffer holds, in several pieces.
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
        let mut file = AtomicFile::create(&path).unwrap();
        bytes.chunks(1000).for_each(|piece| file.write_all(piece).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_new_file_takes_no_place_that_was_taken_in_the_meantime() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = AtomicFile::create(&path).unwrap();
        std::fs::write(&path, "other").unwrap();
        let error = file.commit_new().unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        std::fs::remove_file(&path).unwrap();
        AtomicFile::create(&path).unwrap().commit_new().unwrap();
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_protected_files_are_not_replaced_and_permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        std::os::unix::fs::symlink("pipe", at("link")).unwrap();
        std::fs::write(at("protected"), "old").unwrap();
        std::fs::set_permissions(at("protected"), mode(0o444)).unwrap();
        let error = |name: &str| write_atomically(&at(name), b"new").unwrap_err().to_string();
        for name in ["pipe", "link"] {
            assert!(error(name).ends_with("expected a regular file, found a pipe, a socket or a device"));
        }
        assert!(error("protected").ends_with("protected: it is write-protected"));
        std::fs::write(at("private"), "old").unwrap();
        std::fs::set_permissions(at("private"), mode(0o640)).unwrap();
        write_atomically(&at("private"), b"new").unwrap();
        let found = std::fs::metadata(at("private")).unwrap().permissions().mode();
        assert_eq!(found & 0o777, 0o640);
        assert_eq!(names(directory.path()).len(), 4);
    }

    #[test]
    fn files_of_dead_processes_are_swept_and_those_of_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let dead = at(".gan-unfinished-aB3dE6");
        let others = [".gan-unfinished-aB3dE", ".gan-unfinished-aB3dE67", ".gan-unfinished", "aB3dE6"];
        for path in others.map(at).into_iter().chain([dead.clone()]) {
            std::fs::write(path, "x").unwrap();
        }
        let mut file = AtomicFile::create(&at("file")).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        crate::sweep_dead(directory.path());
        file.commit().unwrap();
        assert!(!dead.exists() && others.iter().all(|name| at(name).exists()));
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
    }

    #[test]
    fn a_refusal_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent/file");
        let error = write_atomically(&absent, b"x").unwrap_err();
        assert_eq!((error.path.as_path(), error.source.kind()), (absent.as_path(), io::ErrorKind::NotFound));
        // There is a directory at the file's place.
        let taken = directory.path().join("taken");
        std::fs::create_dir_all(taken.join("inside")).unwrap();
        assert_eq!(write_atomically(&taken, b"x").unwrap_err().path, taken);
        assert_eq!(names(directory.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (ours, plain) = (directory.path().join("ours"), directory.path().join("plain"));
        write_atomically(&ours, b"x").unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(ours), mode(plain));
    }
}
