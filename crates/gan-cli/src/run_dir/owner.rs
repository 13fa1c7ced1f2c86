//! To which run a path belongs.

use super::{BEST, is_our_run};
use crate::run::is_event_file;
use std::path::{Component, Path, PathBuf};

/// The run whose file `path` is, or would be: its directory, a file that a run or `--resume` reads, or
/// anything in one of the run's own directories. Links to directories are followed. The file need
/// not exist.
pub(crate) fn owner(path: &Path) -> Option<PathBuf> {
    let path = resolved(path)?;
    let run = path.ancestors().find(|run| {
        let own = path.strip_prefix(run).map(Path::to_string_lossy);
        is_our_run(run) && own.is_ok_and(|own| is_own(&own))
    });
    run.map(Path::to_owned)
}

/// Whether two paths are those of one directory.
pub(super) fn is_same(path: &Path, other: &Path) -> bool {
    path.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path))
}

/// Files and directories in a run's directory that the run or `--resume` reads or writes.
const OWN: [&str; 8] = [
    "checkpoints",
    "samples",
    BEST,
    ".lock",
    "config.toml",
    "metrics.jsonl",
    "generator.safetensors",
    "ema.safetensors",
];

/// Whether a run's file has this path in the run's directory. The empty path is the directory itself.
fn is_own(path: &str) -> bool {
    // Some file systems do not tell capitals from small letters.
    let path = path.to_lowercase();
    let first = path.split(std::path::is_separator).next().unwrap_or_default();
    first.is_empty() || OWN.contains(&first) || is_event_file(first)
}

/// The path without links to directories. Parts that do not exist yet are taken as they are.
pub(crate) fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let existing = path.ancestors().find(|directory| directory.is_dir())?;
    let mut resolved = existing.canonicalize().ok()?;
    for part in path.strip_prefix(existing).ok()?.components() {
        match part {
            // No directory here exists yet, so none is a link.
            Component::ParentDir => drop(resolved.pop()),
            Component::Normal(name) => resolved.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => (),
        }
    }
    Some(resolved)
}
