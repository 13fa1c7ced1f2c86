//! The directory of a run: how it is chosen, and where its files are.

use crate::exit::usage;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Component, Path, PathBuf};

/// A run's directory. Only this process may write to it.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// The system releases it when the process ends, in whatever way.
    _lock: File,
}

impl RunDir {
    /// Creates the directory of a new run.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if is_run(path) {
            return Err(usage(format!(
                "{} already holds a run: --resume goes on with it, another --out starts afresh",
                path.display()
            )));
        }
        Self::open(path)
    }

    /// Opens the directory of a run to continue, and creates what is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        std::fs::create_dir_all(path.join("samples")).with_context(at)?;
        std::fs::create_dir_all(path.join("checkpoints")).with_context(at)?;
        let lock = File::create(path.join(".lock")).with_context(at)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(usage(format!("{} is being trained by another process", path.display())));
            }
            // Training is still possible on a file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => (),
        }
        for directory in [path.to_owned(), path.join("samples"), path.join(BEST)] {
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
        metrics(&self.path)
    }

    /// The directory of the best generator.
    pub(crate) fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    pub(crate) fn generator(&self) -> PathBuf {
        generator(&self.path)
    }

    /// The file of the averaged generator.
    pub(crate) fn ema(&self) -> PathBuf {
        ema(&self.path)
    }

    /// The file of the grid that is drawn after `step` steps.
    pub(crate) fn samples(&self, step: u64) -> PathBuf {
        samples(&self.path, step)
    }

    /// Deletes the grids and the best generator of steps after `step`, because a rollback undoes
    /// that part of the run.
    pub(crate) fn forget_after(&self, step: u64) -> Result<()> {
        let at = || self.path.display().to_string();
        for entry in std::fs::read_dir(self.path.join("samples")).with_context(at)? {
            let path = entry.with_context(at)?.path();
            let drawn = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix("step-")?.parse().ok());
            if drawn.is_some_and(|drawn: u64| drawn > step) {
                std::fs::remove_file(&path).with_context(at)?;
            }
        }
        if best(&self.path).is_some_and(|best| best.step > step) {
            std::fs::remove_dir_all(self.best()).with_context(at)?;
        }
        Ok(())
    }
}

/// Deletes partial files, which an earlier process was writing when it was killed.
fn sweep(directory: &Path) -> std::io::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let name = name.to_string_lossy();
        if name.starts_with(gan_files::UNFINISHED) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The directory, inside a run, of the generator with the smallest distance to the data.
const BEST: &str = "best";

/// The record of a run's best generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) step: u64,
    pub(crate) frechet_distance: f64,
    /// How the generator was evaluated. Distances with another number of images or with other
    /// features cannot be compared.
    pub(crate) count: usize,
    pub(crate) features: Option<PathBuf>,
}

/// The best generator of the run at `path`, if the run was evaluated and the record is readable.
pub(crate) fn best(path: &Path) -> Option<Best> {
    let path = best_record(&path.join(BEST));
    let read = std::fs::read(&path).map_err(anyhow::Error::new);
    match read.and_then(|json| Ok(serde_json::from_slice(&json)?)) {
        Ok(best) => Some(best),
        Err(_) if !path.exists() => None,
        Err(error) => {
            tracing::warn!("passing over {}: {error}", path.display());
            None
        }
    }
}

/// The file of [`Best`] in its directory.
pub(crate) fn best_record(directory: &Path) -> PathBuf {
    directory.join("evaluation.json")
}

/// The generator to draw from: the run's best if there is one, else its average if there is one,
/// else its last.
pub(crate) fn generator_to_draw_from(path: &Path) -> PathBuf {
    let file = generator(&path.join(BEST));
    match best(path).filter(|_| file.exists()) {
        Some(Best { step, frechet_distance, count, .. }) => {
            tracing::info!(
                "the run's best generator: step {step}, distance {frechet_distance:.2} over {count} images"
            );
            file
        }
        None if ema(path).exists() => ema(path),
        None => generator(path),
    }
}

/// The metrics file of the run at `path`.
pub(crate) fn metrics(path: &Path) -> PathBuf {
    path.join("metrics.jsonl")
}

/// The grid that the run at `path` drew after `step` steps.
pub(crate) fn samples(path: &Path, step: u64) -> PathBuf {
    path.join(format!("samples/step-{step:08}.png"))
}

/// The last generator of the run at `path`.
pub(crate) fn generator(path: &Path) -> PathBuf {
    path.join("generator.safetensors")
}

/// The averaged generator of the run at `path`.
fn ema(path: &Path) -> PathBuf {
    path.join("ema.safetensors")
}

/// The first of `runs/NAME`, `runs/NAME-2`, ... that contains no run.
pub(crate) fn next_free(name: &str) -> PathBuf {
    numbered(name).find(|path| !is_run(path)).unwrap_or_default()
}

/// The last of `runs/NAME`, `runs/NAME-2`, ... that contains a run. If none does, `runs/NAME`.
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

/// The run whose file `path` is, or would be: a file that a run or `--resume` reads. Links to
/// directories are followed. The file need not exist.
pub(crate) fn run_of_file(path: &Path) -> Option<PathBuf> {
    let path = resolved(path)?;
    let run = path.ancestors().skip(1).find(|run| {
        let own = path.strip_prefix(run).map(Path::to_string_lossy);
        is_run(run) && own.is_ok_and(|own| is_own(&own))
    });
    run.map(Path::to_owned)
}

/// Files and directories in a run's directory that the run or `--resume` reads.
const OWN: [&str; 7] = [
    "checkpoints",
    BEST,
    ".lock",
    "config.toml",
    "metrics.jsonl",
    "generator.safetensors",
    "ema.safetensors",
];

/// Whether a run's file has this path in the run's directory.
fn is_own(path: &str) -> bool {
    // Some file systems do not tell capitals from small letters.
    let path = path.to_lowercase();
    let mut parts = path.split(std::path::is_separator);
    match (parts.next(), parts.next()) {
        (Some("samples"), Some(name)) => name.starts_with("step-"),
        (Some(name), _) => OWN.contains(&name),
        (None, _) => false,
    }
}

/// The path without links to directories. Parts that do not exist yet are taken as they are.
fn resolved(path: &Path) -> Option<PathBuf> {
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

fn is_run(path: &Path) -> bool {
    ["config.toml", "metrics.jsonl", "generator.safetensors"].iter().any(|file| path.join(file).exists())
}
