//! The directory of a run: which one, and what lies where in it.

use crate::exit::usage;
use anyhow::{Context, Result};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A run's directory, held by this process alone.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Released when the process ends, however it ends.
    _lock: File,
}

impl RunDir {
    /// Makes the directory of a new run.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if is_run(path) {
            return Err(usage(format!(
                "{} already holds a run: --resume goes on with it, another --out starts afresh",
                path.display()
            )));
        }
        Self::open(path)
    }

    /// Makes or takes the directory of a run to go on with.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        std::fs::create_dir_all(path.join("samples")).with_context(at)?;
        std::fs::create_dir_all(path.join("checkpoints")).with_context(at)?;
        let lock = File::create(path.join(".lock")).with_context(at)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(usage(format!("{} is being trained by another process", path.display())));
            }
            // A file system without locks is no reason not to train.
            Ok(()) | Err(TryLockError::Error(_)) => (),
        }
        for directory in [path.to_owned(), path.join("samples")] {
            sweep(&directory).with_context(at)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    pub(crate) fn generator(&self) -> PathBuf {
        generator(&self.path)
    }

    /// The grid drawn after `step` steps.
    pub(crate) fn samples(&self, step: u64) -> PathBuf {
        self.path.join(format!("samples/step-{step:08}.png"))
    }
}

/// Deletes the files that were being written when an earlier process was killed.
fn sweep(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let name = name.to_string_lossy();
        if name.starts_with(".tmp-") || (name.starts_with('.') && name.ends_with(".tmp")) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The generator of the run at `path`.
pub(crate) fn generator(path: &Path) -> PathBuf {
    path.join("generator.safetensors")
}

/// The first of `runs/NAME`, `runs/NAME-2`, ... that holds no run.
pub(crate) fn next_free(name: &str) -> PathBuf {
    numbered(name).find(|path| !is_run(path)).unwrap_or_default()
}

/// The last of `runs/NAME`, `runs/NAME-2`, ... that holds a run, or `runs/NAME`.
pub(crate) fn last(name: &str) -> PathBuf {
    let mut runs = numbered(name);
    let first = runs.next().unwrap_or_default();
    runs.take_while(|path| is_run(path)).last().unwrap_or(first)
}

fn numbered(name: &str) -> impl Iterator<Item = PathBuf> {
    let first = Path::new("runs").join(name);
    let name = name.to_owned();
    std::iter::once(first).chain((2u32..).map(move |n| Path::new("runs").join(format!("{name}-{n}"))))
}

fn is_run(path: &Path) -> bool {
    ["config.toml", "metrics.jsonl", "generator.safetensors"].iter().any(|file| path.join(file).exists())
}
