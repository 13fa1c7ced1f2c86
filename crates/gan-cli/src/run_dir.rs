//! The directory of a run: how it is chosen, and where its files are.

use crate::exit::usage;
use anyhow::Result;
use gan_files::{check_own, create_directory, entries, is_sealed, open_lock, remove_file, sha256, sweep};
use gan_train::checkpoint;
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
        check_new(path)?;
        let run = Self::lock(path)?.ok_or_else(|| busy(path))?;
        // Another process may have made a run since the check.
        check_new(path)?;
        run.prepare()
    }

    /// Creates the first of `runs/NAME`, `runs/NAME-2`, ... that nobody uses.
    pub(crate) fn create_numbered(name: &str) -> Result<Self> {
        for path in numbered(name).filter(|path| check_new(path).is_ok()) {
            // Another process may have taken it since the check.
            if let Some(run) = Self::lock(&path)?.filter(|_| check_new(&path).is_ok()) {
                return run.prepare();
            }
        }
        Err(usage(format!("no number is left for runs/{name}")))
    }

    /// Opens the directory of a run to continue, and creates what is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !is_run(path) {
            check_new(path)?;
        }
        Self::lock(path)?.ok_or_else(|| busy(path))?.prepare()
    }

    /// Locks the directory. `None` if another process has locked it.
    fn lock(path: &Path) -> Result<Option<Self>> {
        create_directory(path)?;
        let file = path.join(".lock");
        check_own(&file).map_err(not_own)?;
        let lock = open_lock(&file)?;
        Ok(match lock.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            // Training is still possible on a file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => Some(Self { path: path.to_owned(), _lock: lock }),
        })
    }

    /// Checks that the run's files are its own, creates the directories that are missing, and
    /// deletes unfinished files, which an earlier process was writing when it was killed.
    fn prepare(self) -> Result<Self> {
        for file in [self.config(), self.metrics(), self.generator(), self.ema()] {
            check_own(&file).map_err(not_own)?;
        }
        let directories = [self.path.join("samples"), self.checkpoints(), self.best()];
        for directory in &directories {
            if std::fs::symlink_metadata(directory).is_ok_and(|found| !found.is_dir()) {
                let problem = "expected a directory, found a file or a symbolic link";
                return Err(usage(format!("{}: {problem}: {OUTSIDE}", directory.display())));
            }
        }
        if let Some(path) = checkpoint::foreign(&self.checkpoints())? {
            return Err(usage(format!(
                "{}: not a checkpoint of this program: move it away, or choose another --out",
                path.display()
            )));
        }
        let [samples, checkpoints, best] = directories;
        create_directory(&samples)?;
        create_directory(&checkpoints)?;
        let swept =
            [self.path.clone(), samples, checkpoints].into_iter().chain(best.exists().then_some(best));
        for directory in swept {
            sweep(&directory)?;
        }
        Ok(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config(&self) -> PathBuf {
        config(&self.path)
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
        for path in entries(&self.path.join("samples"))? {
            let drawn = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix("step-")?.parse().ok());
            if drawn.is_some_and(|drawn| drawn > step && self.samples(drawn) == path) {
                remove_file(&path)?;
            }
        }
        let record = best_record(&self.best());
        if read_best(&record).is_ok_and(|best| best.step > step) {
            remove_file(&generator(&self.best()))?;
            remove_file(&record)?;
        }
        Ok(())
    }
}

/// Why a run does not use links.
const OUTSIDE: &str = "a run writes and deletes files, so it follows no links out of its directory";

fn not_own(error: gan_files::FileError) -> anyhow::Error {
    usage(format!("{error}: {OUTSIDE}"))
}

fn busy(path: &Path) -> anyhow::Error {
    usage(format!("{} is being trained by another process", path.display()))
}

/// Refuses a directory for a new run in which there are files that a run would write over or
/// delete.
fn check_new(path: &Path) -> Result<()> {
    if is_run(path) {
        return Err(usage(format!(
            "{} already holds a run: --resume goes on with it, another --out starts afresh",
            path.display()
        )));
    }
    let is_there = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok();
    let is_filled = |path: &PathBuf| std::fs::read_dir(path).is_ok_and(|mut files| files.next().is_some());
    let directories = ["checkpoints", "samples", BEST].map(|name| path.join(name));
    let found = Some(ema(path)).filter(is_there).or_else(|| directories.into_iter().find(is_filled));
    match found {
        None => Ok(()),
        Some(found) => Err(usage(format!(
            "{} is there, but no config.toml of a run: a run would write over it; choose another --out",
            found.display()
        ))),
    }
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
    /// SHA-256 of the generator's file.
    pub(crate) sha256: String,
}

/// The best generator of the run at `path`, if the run was evaluated and its files are whole.
pub(crate) fn best(path: &Path) -> Option<Best> {
    let directory = path.join(BEST);
    let (record, weights) = (best_record(&directory), generator(&directory));
    if !record.exists() {
        return None;
    }
    let read = || {
        let best = read_best(&record)?;
        // A crash between the two writes leaves an old record beside new weights.
        anyhow::ensure!(sha256(&[&gan_files::read(&weights)?]) == best.sha256, "it is of another generator");
        Ok(best)
    };
    let passed = |error| tracing::warn!("passing over {}: {error}", record.display());
    read().map_err(passed).ok()
}

fn read_best(record: &Path) -> Result<Best> {
    let json = gan_files::read(record)?;
    anyhow::ensure!(is_sealed(&json), "its checksum does not fit");
    Ok(serde_json::from_slice(&json)?)
}

/// The file of [`Best`] in its directory.
pub(crate) fn best_record(directory: &Path) -> PathBuf {
    directory.join("evaluation.json")
}

/// The generator to draw from: the run's best if there is one, else its average if there is one,
/// else its last.
pub(crate) fn generator_to_draw_from(path: &Path) -> PathBuf {
    match best(path) {
        Some(Best { step, frechet_distance, count, .. }) => {
            tracing::info!(
                "the run's best generator: step {step}, distance {frechet_distance:.2} over {count} images"
            );
            generator(&path.join(BEST))
        }
        None if ema(path).exists() => ema(path),
        None => generator(path),
    }
}

/// The configuration of the run at `path`.
pub(crate) fn config(path: &Path) -> PathBuf {
    path.join("config.toml")
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

#[cfg(test)]
mod tests {
    use super::*;
    use gan_files::{seal, write_atomically};

    #[test]
    fn a_best_generator_is_used_only_with_its_own_record() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path();
        std::fs::create_dir(run.join(BEST)).unwrap();
        let (record, weights) = (best_record(&run.join(BEST)), generator(&run.join(BEST)));
        assert_eq!((best(run), generator_to_draw_from(run)), (None, generator(run)));
        std::fs::write(&weights, "weights").unwrap();
        let sha256 = sha256(&[b"weights"]);
        let written = Best { step: 3, frechet_distance: 1.5, count: 64, features: None, sha256 };
        let json = serde_json::to_vec(&written).unwrap();
        write_atomically(&record, &seal(&json)).unwrap();
        assert_eq!((best(run), generator_to_draw_from(run)), (Some(written), weights.clone()));
        // Another number in the record, and then other weights.
        let damaged = String::from_utf8(seal(&json)).unwrap().replace("1.5", "0.5");
        std::fs::write(&record, damaged).unwrap();
        assert_eq!(best(run), None);
        write_atomically(&record, &seal(&json)).unwrap();
        std::fs::write(&weights, "others").unwrap();
        assert_eq!((best(run), generator_to_draw_from(run)), (None, generator(run)));
    }
}
