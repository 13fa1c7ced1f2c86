//! The checkpoints of a run in one directory.

use super::{read_state, write_state};
use crate::error::{Result, TrainError};
use gan_files::UNFINISHED;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Deletes older checkpoints than `newest`. It keeps the last `keep` checkpoints, including
/// `newest`, and for each step of `ways_back` the last checkpoint at or before it.
///
/// # Errors
/// A directory that cannot be deleted.
pub fn prune(newest: &Path, keep: usize, ways_back: &[u64]) -> Result<()> {
    let (Some(directory), Some(step)) = (newest.parent(), step_of(newest)) else { return Ok(()) };
    let older: BTreeMap<_, _> = all(directory)?.into_iter().filter(|(s, _)| *s < step).collect();
    let last_to = |step: &u64| older.range(..=step).next_back().map(|(step, _)| *step);
    let kept: BTreeSet<u64> = ways_back.iter().filter_map(last_to).collect();
    let surplus = older.iter().rev().skip(keep.saturating_sub(1));
    surplus.filter(|(step, _)| !kept.contains(step)).try_for_each(|(_, path)| remove(path))
}

/// Deletes the checkpoints after `step`, and changes some settings in the others.
///
/// # Errors
/// A directory that cannot be deleted; a file that cannot be written.
pub fn go_back(directory: &Path, step: u64, changes: &BTreeMap<String, String>) -> Result<()> {
    for (at, path) in all(directory)? {
        if at > step {
            remove(&path)?;
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
    newest_until(directory, u64::MAX)
}

/// The same as [`newest`], but only for checkpoints up to `step`.
///
/// # Errors
/// The errors of [`newest`].
pub fn newest_until(directory: &Path, step: u64) -> Result<Option<PathBuf>> {
    if !directory.exists() {
        return Ok(None);
    }
    sweep(directory)?;
    let mut damaged = None;
    for (_, path) in all(directory)?.range(..=step).rev() {
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

/// The checkpoints under a directory, damaged ones included, oldest first.
fn all(directory: &Path) -> Result<BTreeMap<u64, PathBuf>> {
    let mut steps = BTreeMap::new();
    for path in entries(directory)? {
        steps.extend(step_of(&path).map(|step| (step, path)));
    }
    Ok(steps)
}

/// The step of a checkpoint, from its name.
#[must_use]
pub fn step_of(path: &Path) -> Option<u64> {
    file_name(path).strip_prefix("step-")?.parse().ok()
}

fn sweep(directory: &Path) -> Result<()> {
    for path in entries(directory)? {
        if file_name(&path).starts_with(UNFINISHED) {
            remove(&path)?;
        } else if path.is_dir() {
            for file in entries(&path)?.into_iter().filter(|file| file_name(file).starts_with(UNFINISHED)) {
                std::fs::remove_file(&file).map_err(|e| TrainError::io(&file, e))?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path).map_err(|e| TrainError::io(path, e))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    Ok(entries.map_err(|e| TrainError::io(directory, e))?.into_iter().map(|entry| entry.path()).collect())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn is_damage(error: &TrainError) -> bool {
    match error {
        TrainError::Checkpoint { .. } => true,
        TrainError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}
