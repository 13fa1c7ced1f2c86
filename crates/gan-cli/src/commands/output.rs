//! Where commands write pictures, and what they refuse to overwrite.

use crate::exit::usage;
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal::counted;
use anyhow::{Context, Result};
use gan_files::{Abandoned, AtomicFile, check_own, sweep_dead, sync_directory};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Number of bytes between two looks for a signal.
const PIECE: usize = 1 << 24;

/// The place that `--out` names.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Refuses to overwrite an input, which is named for messages, or a file of a run.
    pub(crate) fn protect(&self, inputs: &[(&Path, &str)]) -> Result<()> {
        let place = std::fs::canonicalize(&self.0).ok();
        let is_input = |input: &Path| place.is_some() && std::fs::canonicalize(input).ok() == place;
        if let Some((_, name)) = inputs.iter().find(|(input, _)| is_input(input)) {
            return Err(self.refused(&format!("is {name}")));
        }
        if let Some(run) = run_dir::owner(&self.0) {
            let run = run.display();
            return Err(self.refused(&format!(
                "belongs to the run {run}: choose another place, or another directory in the run's"
            )));
        }
        Ok(())
    }

    /// Refuses a directory that holds numbered pictures.
    pub(crate) fn protect_numbered(&self) -> Result<()> {
        let old = numbered(&self.0)?;
        let Some(first) = old.first() else { return Ok(()) };
        let (images, first) = (counted(old.len(), "numbered image"), first.display());
        let them = if old.len() == 1 { "it" } else { "them" };
        Err(self.refused(&format!("already holds {images} ({first}): --replace deletes {them}")))
    }

    /// Refuses to replace a file that this program did not write. Such a file has one of `marks` near its
    /// beginning.
    pub(crate) fn protect_foreign(&self, marks: &[&str]) -> Result<()> {
        const NEAR: u64 = 2048;
        match std::fs::metadata(&self.0) {
            Err(_) => return Ok(()),
            // A pipe could block for ever.
            Ok(found) if !found.is_file() => return Err(self.refused("exists, and is not a regular file")),
            Ok(_) => (),
        }
        let file = File::open(&self.0).with_context(|| self.0.display().to_string())?;
        let mut start = vec![];
        file.take(NEAR).read_to_end(&mut start).with_context(|| self.0.display().to_string())?;
        let start = String::from_utf8_lossy(&start);
        if start.is_empty() || marks.iter().any(|mark| start.contains(mark)) {
            return Ok(());
        }
        Err(self.refused("exists, and gan-cli did not write it: choose another place"))
    }

    /// The error for a place where nothing is written.
    pub(crate) fn refused(&self, problem: &str) -> anyhow::Error {
        usage(format!("--out: {} {problem}", self.0.display()))
    }
}

/// The first of `NAME.EXTENSION`, `NAME-2.EXTENSION`, ... that does not exist.
pub(crate) fn next_free(name: &str, extension: &str) -> PathBuf {
    let numbered = (2u32..).map(|n| PathBuf::from(format!("{name}-{n}.{extension}")));
    // A link to nowhere is there, too.
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    let first = PathBuf::from(format!("{name}.{extension}"));
    std::iter::once(first).chain(numbered).find(is_free).unwrap_or_default()
}

/// Whether `--out` means a directory.
pub(crate) fn is_directory(out: &Path) -> bool {
    out.is_dir() || out.to_string_lossy().ends_with(std::path::is_separator)
}

/// The extension in lower case.
pub(crate) fn extension(out: &Path) -> Option<String> {
    out.extension().map(|extension| extension.to_string_lossy().to_lowercase())
}

/// Makes the directory of a file, and deletes the unfinished files of killed commands there.
pub(crate) fn prepare_parent(out: &Path) -> Result<()> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).with_context(|| out.display().to_string())?;
        sweep_dead(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    }
    Ok(())
}

/// Writes a file as a whole or not at all. A signal ends the work.
pub(crate) fn write(out: &Path, bytes: &[u8], stop: &Stop) -> Result<()> {
    let mut file = AtomicFile::create(out)?;
    for piece in bytes.chunks(PIECE) {
        stop.check()?;
        file.write_all(piece).with_context(|| out.display().to_string())?;
    }
    stop.check()?;
    Ok(file.commit()?)
}

/// Fills a directory with pictures, which `write` makes in another one. It returns their names. The
/// directory gets them only when all of them are complete, and then it loses the numbered pictures that
/// it held.
pub(crate) fn fill_directory(out: &Path, write: impl FnOnce(&Path) -> Result<Vec<String>>) -> Result<()> {
    let at = || out.display().to_string();
    let is_new = !out.exists();
    std::fs::create_dir_all(out).with_context(at)?;
    sweep(out);
    let unfinished = Unfinished::within(out).with_context(at)?;
    let place = unfinished.directory.path();
    let names = match write(place) {
        Ok(names) => names,
        Err(error) => {
            drop(unfinished);
            if is_new {
                // If this fails, an empty directory stays. The first error says more.
                let _ = std::fs::remove_dir(out);
            }
            return Err(error);
        }
    };
    if let Some(taken) = names.iter().map(|name| out.join(name)).find(|path| path.is_dir()) {
        return Err(usage(format!("{}: expected a file or nothing, found a directory", taken.display())));
    }
    for old in numbered(out)? {
        std::fs::remove_file(out.join(old)).with_context(at)?;
    }
    for name in names {
        std::fs::rename(place.join(&name), out.join(&name)).with_context(at)?;
    }
    Ok(sync_directory(out)?)
}

/// The names of directories with pictures of a command that has not ended. Six letters or digits
/// follow.
const UNFINISHED: &str = ".gan-sample-";
const RANDOM: usize = 6;
/// A file in such a directory, which its command has locked.
const LOCK: &str = ".lock";

/// A directory with pictures that are not complete. It is deleted when it is dropped.
struct Unfinished {
    /// The system releases it when the process ends, in whatever way.
    _lock: File,
    directory: TempDir,
    _abandoned: Abandoned,
}

impl Unfinished {
    fn within(out: &Path) -> std::io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(UNFINISHED).rand_bytes(RANDOM).tempdir_in(out)?;
        let abandoned = Abandoned::unless_dropped(directory.path());
        let lock = File::create_new(directory.path().join(LOCK))?;
        // A file system without locks has no sweeping either.
        let _ = lock.try_lock();
        Ok(Self { _lock: lock, directory, _abandoned: abandoned })
    }
}

/// Deletes the directories that a command left in `out` when it was killed. Their lock is free. What
/// cannot be deleted stays, because it harms nobody.
fn sweep(out: &Path) {
    let Ok(entries) = std::fs::read_dir(out) else { return };
    for entry in entries.flatten() {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        let is_ours =
            random.is_some_and(|r| r.len() == RANDOM && r.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if is_directory
            && is_ours
            && check_own(&entry.path().join(LOCK)).is_ok()
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The files in a directory whose names are a number and `.png`, in order. A directory that does
/// not exist has none.
fn numbered(directory: &Path) -> Result<Vec<PathBuf>> {
    let at = || directory.display().to_string();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(at),
    };
    let mut names = vec![];
    for entry in entries {
        let entry = entry.with_context(at)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".png"));
        let is_number = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && !entry.file_type().with_context(at)?.is_dir() {
            names.push(name.into());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_command_left_is_swept() {
        let out = tempfile::tempdir().unwrap();
        let at = |name: &str| out.path().join(name);
        let alive = Unfinished::within(out.path()).unwrap();
        // A killed process has neither its lock nor a chance to delete anything.
        let dead = Unfinished::within(out.path()).unwrap().directory.keep();
        std::fs::write(dead.join("0.png"), "half").unwrap();
        let others = [".gan-sample-notes", ".gan-sample-a.b.cd", ".gan-sample-Ab3dE9", ".sample-Ab3dE9"];
        for name in others {
            std::fs::create_dir(at(name)).unwrap();
        }
        // One has our name, but no lock.
        std::fs::write(at(".gan-sample-notes").join(LOCK), "").unwrap();
        std::fs::write(at(".gan-sample-000000"), "a file").unwrap();
        sweep(out.path());
        let mut left: Vec<_> = others.into_iter().chain([".gan-sample-000000"]).map(at).collect();
        left.push(alive.directory.path().to_owned());
        left.sort();
        assert_eq!(gan_files::entries(out.path()).unwrap(), left);
        drop(alive);
        assert_eq!(gan_files::entries(out.path()).unwrap().len(), left.len() - 1);
    }
}
