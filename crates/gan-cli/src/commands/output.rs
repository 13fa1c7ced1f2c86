//! Where commands write pictures, and what they refuse to overwrite.

mod fill;

pub(crate) use fill::{fill_with_files, fill_with_pictures};

use crate::exit::usage;
use crate::run_dir;
use crate::signals::{Stop, Uninterrupted};
use crate::terminal::counted;
use anyhow::{Context, Result};
use fill::numbered;
use gan_files::{AtomicFile, sweep_dead};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Number of bytes between two looks for a signal.
const PIECE: usize = 1 << 24;

/// The place that `--out` names.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Whether nothing was there when the command began.
    is_free: bool,
    /// The numbered pictures that were in the directory then.
    numbered: Vec<PathBuf>,
}

impl Place {
    pub(crate) fn new(path: PathBuf) -> Self {
        let is_free = path.symlink_metadata().is_err();
        let numbered = if path.is_dir() { numbered(&path).unwrap_or_default() } else { vec![] };
        Self { path, is_free, numbered }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to overwrite an input, which is named for messages, or a file of a run.
    pub(crate) fn protect(&self, inputs: &[(&Path, &str)]) -> Result<()> {
        let place = std::fs::canonicalize(&self.path).ok();
        let is_input = |input: &Path| place.is_some() && std::fs::canonicalize(input).ok() == place;
        if let Some((_, name)) = inputs.iter().find(|(input, _)| is_input(input)) {
            return Err(self.refused(&format!("is {name}")));
        }
        if let Some(run) = run_dir::owner(&self.path) {
            let run = run.display();
            return Err(self.refused(&format!(
                "belongs to the run {run}: choose another place, or another directory in the run's"
            )));
        }
        Ok(())
    }

    /// Refuses a directory that holds numbered pictures.
    pub(crate) fn protect_numbered(&self) -> Result<()> {
        let old = numbered(&self.path)?;
        let Some(first) = old.first() else { return Ok(()) };
        let (images, first) = (counted(old.len(), "numbered image"), first.display());
        let them = if old.len() == 1 { "it" } else { "them" };
        Err(self.refused(&format!("already holds {images} ({first}): --replace deletes {them}")))
    }

    /// Refuses to replace a file that this program did not write. Such a file has one of `marks` near its
    /// beginning.
    pub(crate) fn protect_foreign(&self, marks: &[&str]) -> Result<()> {
        const NEAR: u64 = 2048;
        match std::fs::metadata(&self.path) {
            Err(_) => return Ok(()),
            // A pipe could block for ever.
            Ok(found) if !found.is_file() => return Err(self.refused("exists, and is not a regular file")),
            Ok(_) => (),
        }
        let file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        let mut start = vec![];
        file.take(NEAR).read_to_end(&mut start).with_context(|| self.path.display().to_string())?;
        let start = String::from_utf8_lossy(&start);
        if start.is_empty() || marks.iter().any(|mark| start.contains(mark)) {
            return Ok(());
        }
        Err(self.refused("exists, and gan-cli did not write it: choose another place"))
    }

    /// Moves a complete file to the place. If nothing was there when the command began, nothing may be
    /// there now.
    pub(crate) fn put(&self, file: AtomicFile) -> Result<()> {
        Ok(if self.is_free { file.commit_new() } else { file.commit() }?)
    }

    /// The error for a place where nothing is written.
    pub(crate) fn refused(&self, problem: &str) -> anyhow::Error {
        usage(format!("--out: {} {problem}", self.path.display()))
    }
}

/// The first of `NAME.EXTENSION`, `NAME-2.EXTENSION`, ... that does not exist.
pub(crate) fn next_free(name: &str, extension: &str) -> PathBuf {
    next_free_of(name, &[extension])
}

/// The first of `NAME.EXTENSION`, `NAME-2.EXTENSION`, ... that exists with none of the extensions. The result has
/// the first of them.
pub(crate) fn next_free_of(name: &str, extensions: &[&str]) -> PathBuf {
    let numbered = (2u32..).map(|n| format!("{name}-{n}"));
    let path = |name: &str, extension: &str| PathBuf::from(format!("{name}.{extension}"));
    // A link to nowhere is there, too.
    let is_free =
        |name: &String| extensions.iter().all(|extension| path(name, extension).symlink_metadata().is_err());
    let free = std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default();
    path(&free, extensions.first().copied().unwrap_or_default())
}

/// Whether `--out` means a directory.
pub(crate) fn is_directory(out: &Path) -> bool {
    out.is_dir() || out.to_string_lossy().ends_with(std::path::is_separator)
}

/// The extension in lower case.
pub(crate) fn extension(out: &Path) -> Option<String> {
    out.extension().map(|extension| extension.to_string_lossy().to_lowercase())
}

/// Makes a directory for the output `out`.
fn make_directory(directory: &Path, out: &Path) -> Result<()> {
    let at = || out.display().to_string();
    let found = directory.ancestors().find(|path| path.exists());
    if let Some(file) = found.filter(|path| !path.is_dir()) {
        return Err(usage(format!("{}: {} is not a directory", at(), file.display())));
    }
    std::fs::create_dir_all(directory).with_context(at)
}

/// Makes the directory of a file, and deletes the unfinished files of killed commands there.
pub(crate) fn prepare_parent(out: &Path) -> Result<()> {
    make_directory(parent(out), out)?;
    sweep_dead(parent(out));
    Ok(())
}

/// Writes a file as a whole or not at all. A signal ends the work.
pub(crate) fn write(place: &Place, bytes: &[u8], stop: &Stop) -> Result<()> {
    place.put(written(place.path(), bytes, stop)?)
}

/// Writes files that belong together: all of them or none. Only if the last one cannot be moved to its place,
/// old files before it stay replaced.
pub(crate) fn write_together(files: &[(Place, &[u8])], stop: &Stop) -> Result<()> {
    let written = |(place, bytes): &(Place, &[u8])| written(place.path(), bytes, stop);
    let written = files.iter().map(written).collect::<Result<Vec<_>>>()?;
    let _whole = Uninterrupted::begin();
    for (number, ((place, _), file)) in files.iter().zip(written).enumerate() {
        if let Err(error) = place.put(file) {
            for (place, _) in files[..number].iter().filter(|(place, _)| place.is_free) {
                let _ = std::fs::remove_file(place.path());
            }
            return Err(error);
        }
    }
    Ok(())
}

fn written(out: &Path, bytes: &[u8], stop: &Stop) -> Result<AtomicFile> {
    let mut file = AtomicFile::create(out)?;
    for piece in bytes.chunks(PIECE) {
        stop.check()?;
        file.write_all(piece).with_context(|| out.display().to_string())?;
    }
    // A full disk is noticed before anything is renamed.
    file.flush().with_context(|| out.display().to_string())?;
    stop.check()?;
    Ok(file)
}

/// The directory of a path. That of a bare name is the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
