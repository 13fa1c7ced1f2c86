//! The checkpoints of a run in one directory.

use super::{FILES, read_state, write_state};
use crate::error::{Result, TrainError};
use gan_files::{FileError, entries, is_unfinished, remove_directory, sweep};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Which checkpoints are kept besides the newest.
pub struct Retention<'a> {
    /// Number of checkpoints to keep, including the newest.
    pub last: usize,
    /// For each of these steps, the last regular checkpoint at or before it is kept.
    pub ways_back: &'a [u64],
    /// Whether the run itself makes a checkpoint after this step. Others come from an interruption.
    /// They are kept only while they are the newest, and do not count. So a run that was
    /// interrupted has the same checkpoints as one that was not.
    pub is_regular: &'a dyn Fn(u64) -> bool,
}

/// Deletes older checkpoints than `newest`.
///
/// # Errors
/// A directory that cannot be deleted.
pub fn prune(newest: &Path, keep: &Retention<'_>) -> Result<()> {
    let (Some(directory), Some(step)) = (newest.parent(), step_of(newest)) else { return Ok(()) };
    let older: BTreeMap<_, _> = all(directory)?.into_iter().filter(|(s, _)| *s < step).collect();
    let regular: BTreeSet<u64> = older.keys().copied().filter(|step| (keep.is_regular)(*step)).collect();
    let last = keep.last.saturating_sub(usize::from((keep.is_regular)(step)));
    let ways_back = keep.ways_back.iter().filter_map(|step| regular.range(..=step).next_back());
    let kept: BTreeSet<u64> = regular.iter().rev().take(last).chain(ways_back).copied().collect();
    let mut surplus = older.iter().filter(|(step, _)| !kept.contains(step));
    surplus.try_for_each(|(_, path)| Ok(remove_directory(path)?))
}

/// Deletes the checkpoints after `step`, and changes some settings in the others.
///
/// # Errors
/// A directory that cannot be deleted; a file that cannot be written.
pub fn go_back(directory: &Path, step: u64, changes: &BTreeMap<String, String>) -> Result<()> {
    for (at, path) in all(directory)? {
        if at > step {
            remove_directory(&path)?;
            continue;
        }
        match read_state(&path) {
            Ok(mut state) => {
                state.settings.extend(changes.clone());
                write_state(&path, &state)?;
            }
            Err(error) if is_damage(&error) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The newest undamaged checkpoint under `directory`, if there is one. It skips damaged
/// checkpoints with a warning, and deletes the unfinished ones that a crash left.
///
/// # Errors
/// A directory that cannot be read; checkpoints that are all damaged.
pub fn newest(directory: &Path) -> Result<Option<PathBuf>> {
    newest_until(directory, u64::MAX, &|_| true)
}

/// The same as [`newest`], but only for checkpoints up to `step` that satisfy `is_regular`: see
/// [`Retention::is_regular`].
///
/// # Errors
/// The errors of [`newest`].
pub fn newest_until(
    directory: &Path,
    step: u64,
    is_regular: &dyn Fn(u64) -> bool,
) -> Result<Option<PathBuf>> {
    if !directory.exists() {
        return Ok(None);
    }
    sweep(directory)?;
    for path in all(directory)?.values() {
        sweep(path)?;
    }
    newest_undamaged(directory, step, is_regular)
}

/// The same as [`newest`] for a run that may be training: nothing is deleted.
///
/// # Errors
/// The errors of [`newest`].
pub fn newest_of_others(directory: &Path) -> Result<Option<PathBuf>> {
    if directory.exists() { newest_undamaged(directory, u64::MAX, &|_| true) } else { Ok(None) }
}

fn newest_undamaged(
    directory: &Path,
    step: u64,
    is_regular: &dyn Fn(u64) -> bool,
) -> Result<Option<PathBuf>> {
    let mut damaged = None;
    for (_, path) in all(directory)?.range(..=step).rev().filter(|(step, _)| is_regular(**step)) {
        match read_state(path) {
            Ok(_) => return Ok(Some(path.clone())),
            Err(error) if is_damage(&error) => {
                tracing::warn!("passing over a damaged checkpoint: {error}");
                damaged.get_or_insert(error);
            }
            // The checkpoint is from another version, or the disk fails. Skipping it would let the
            // run write over it.
            Err(error) => return Err(error),
        }
    }
    damaged.map_or(Ok(None), Err)
}

/// The first path under `directory` that has a checkpoint's name, or nearly, and is none that this
/// crate made: for example a link, or a directory with other files. A run must not write there.
///
/// # Errors
/// A directory that cannot be read.
pub fn foreign(directory: &Path) -> Result<Option<PathBuf>> {
    if !directory.exists() {
        return Ok(None);
    }
    for path in entries(directory)? {
        if file_name(&path).starts_with("step-") && !is_ours(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The checkpoints under a directory, damaged ones included, oldest first.
fn all(directory: &Path) -> Result<BTreeMap<u64, PathBuf>> {
    let mut steps = BTreeMap::new();
    for path in entries(directory)? {
        if let Some(step) = step_of(&path).filter(|_| file_name(&path).starts_with("step-"))
            && is_ours(&path)?
        {
            steps.insert(step, path);
        }
    }
    Ok(steps)
}

/// Whether the path is a directory that this crate made: with a checkpoint's name, and without
/// other files than a checkpoint's. macOS puts a `.DS_Store` into each directory that it shows.
pub(super) fn is_ours(path: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => return Ok(false),
        Ok(_) => (),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(FileError::new(path, error).into()),
    }
    let is_known = |file: &PathBuf| {
        let name = file_name(file);
        FILES.contains(&&*name) || is_unfinished(OsStr::new(&*name)) || name == ".DS_Store"
    };
    Ok(step_of(path).is_some() && entries(path)?.iter().all(is_known))
}

/// The path of the checkpoint of this step under `directory`.
#[must_use]
pub fn place(directory: &Path, step: u64) -> PathBuf {
    directory.join(name(step))
}

fn name(step: u64) -> String {
    format!("step-{step:08}")
}

/// The step of a checkpoint, from its name.
#[must_use]
pub fn step_of(path: &Path) -> Option<u64> {
    let file_name = file_name(path);
    file_name.strip_prefix("step-")?.parse().ok().filter(|step| name(*step) == file_name)
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn is_damage(error: &TrainError) -> bool {
    match error {
        TrainError::Checkpoint { .. } => true,
        TrainError::Io { source, .. } => source.kind() == ErrorKind::NotFound,
        _ => false,
    }
}
