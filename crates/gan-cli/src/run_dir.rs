//! The directory of a run: how it is chosen, and where its files are.

mod best;
mod lock;
mod owner;

pub(crate) use best::{Best, best, best_record, chosen_generator, generator_to_draw_from};
#[cfg(feature = "board")]
pub(crate) use lock::is_training;
pub(crate) use owner::{owner, resolved};

use crate::config::Config;
use crate::exit::usage;
use anyhow::Result;
use best::read_best;
use gan_files::{FileError, check_own, create_directory, entries, open_lock, remove_file, sweep};
use gan_train::checkpoint;
use owner::is_same;
use std::fs::{File, TryLockError};
use std::path::{Component, Path, PathBuf};

/// A run's directory. Only this process may write to it.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// The system releases it when the process ends, in whatever way.
    _lock: File,
    /// What this process has made, in this order, before there is a run. It is deleted when the
    /// directory is dropped.
    made: Vec<PathBuf>,
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // Directories with files stay.
        for path in self.made.iter().rev() {
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
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
        if !is_our_run(path) {
            check_new(path)?;
        } else if config(path).exists()
            && let Err(error) = Config::load(&config(path), &[])
        {
            if error.chain().any(|cause| cause.is::<std::io::Error>() || cause.is::<FileError>()) {
                return Err(error);
            }
            // Another program's file would be replaced.
            let problem = "not a configuration of a run: move it away, or choose another --out";
            return Err(error.context(usage(format!("{}: {problem}", config(path).display()))));
        }
        Self::lock(path)?.ok_or_else(|| busy(path))?.prepare()
    }

    /// Locks the directory. `None` if another process has locked it.
    fn lock(path: &Path) -> Result<Option<Self>> {
        check_link(path)?;
        if let Some(run) = owner(path).filter(|run| !is_same(run, path)) {
            let (path, run) = (path.display(), run.display());
            return Err(usage(format!("{path} belongs to the run {run}: choose another --out")));
        }
        let mut made: Vec<PathBuf> =
            path.ancestors().take_while(|path| !is_there(path)).map(Path::to_owned).collect();
        made.retain(|path| !path.as_os_str().is_empty());
        made.reverse();
        create_directory(path)?;
        let file = path.join(".lock");
        check_own(&file).map_err(not_own)?;
        let is_new = !is_there(&file);
        let lock = open_lock(&file)?;
        match lock::take(&lock) {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Another process may have deleted the file before it was locked here.
            Ok(()) if !is_there(&file) => return Ok(None),
            // Training is still possible on a file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => (),
        }
        made.extend(is_new.then_some(file));
        Ok(Some(Self { path: path.to_owned(), _lock: lock, made }))
    }

    /// Keeps what was made, because the directory holds a run now.
    pub(crate) fn keep(&mut self) {
        self.made.clear();
    }

    /// Checks that the run's files are its own, creates the directories that are missing, and
    /// deletes unfinished files, which an earlier process was writing when it was killed.
    fn prepare(mut self) -> Result<Self> {
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
        self.made.extend([&samples, &checkpoints].into_iter().filter(|path| !is_there(path)).cloned());
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
        for path in grids(&self.path)? {
            if step_of(&path).is_some_and(|drawn| drawn > step) {
                remove_file(&path)?;
            }
        }
        let record = best_record(&self.best());
        if !record.exists() {
            return Ok(());
        }
        match read_best(&record) {
            Ok(best) if best.step > step => {
                remove_file(&generator(&self.best()))?;
                remove_file(&record)?;
            }
            // A record that cannot be read may be one of a later step. Nobody uses a damaged one.
            Err(error) if error.is::<FileError>() => return Err(error),
            Ok(_) | Err(_) => (),
        }
        Ok(())
    }
}

/// Checks that the place of an output is no link to nowhere. It is neither a file nor a directory,
/// and nobody knows which of them is meant.
pub(crate) fn check_link(path: &Path) -> Result<()> {
    // With a separator at its end, a path is that of the link's target.
    let path: PathBuf = path.components().collect();
    if path.is_symlink() && !path.exists() {
        return Err(usage(format!(
            "--out {}: is a symbolic link to a place that does not exist",
            path.display()
        )));
    }
    Ok(())
}

/// Why a run does not use links.
const OUTSIDE: &str = "a run writes and deletes files, so it follows no links out of its directory";

fn not_own(error: FileError) -> anyhow::Error {
    usage(format!("{error}: {OUTSIDE}"))
}

fn busy(path: &Path) -> anyhow::Error {
    usage(format!("{} is being trained by another process", path.display()))
}

/// Refuses a directory for a new run in which there are files that a run would write over or
/// delete.
fn check_new(path: &Path) -> Result<()> {
    if is_our_run(path) {
        return Err(usage(format!(
            "{} already holds a run: --resume goes on with it, another --out starts afresh",
            path.display()
        )));
    }
    if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
        return Err(usage(format!("--out {}: expected a directory, found a file", path.display())));
    }
    let over = |found: &Path, lacks: &str| {
        Err(usage(format!(
            "{} is there, but no {lacks} of a run: a run would write over it; choose another --out",
            found.display()
        )))
    };
    if let Some(found) = MARKS.map(|file| path.join(file)).iter().find(|file| is_there(file)) {
        return over(found, "checkpoints");
    }
    let is_filled = |path: &PathBuf| std::fs::read_dir(path).is_ok_and(|mut files| files.next().is_some());
    let directories = ["checkpoints", "samples", BEST].map(|name| path.join(name));
    match Some(ema(path)).filter(|file| is_there(file)).or_else(|| directories.into_iter().find(is_filled)) {
        None => Ok(()),
        Some(found) => over(&found, "config.toml"),
    }
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The directory, inside a run, of the generator with the smallest distance to the data.
const BEST: &str = "best";

/// The configuration of the run at `path`.
pub(crate) fn config(path: &Path) -> PathBuf {
    path.join("config.toml")
}

/// The configuration of the run `from`, or of the run that contains the file or checkpoint `from`.
pub(crate) fn config_around(from: &Path) -> Option<PathBuf> {
    let from = std::fs::canonicalize(from).ok()?;
    // For RUN/checkpoints/step-00000001/generator.safetensors, RUN is three levels up. A directory
    // may also contain a config.toml that does not belong to the file.
    let is_run = |directory: &&Path| metrics(directory).exists() && config(directory).exists();
    from.ancestors().take(4).find(is_run).map(config)
}

/// The metrics file of the run at `path`.
pub(crate) fn metrics(path: &Path) -> PathBuf {
    path.join("metrics.jsonl")
}

/// The grid that the run at `path` drew after `step` steps.
pub(crate) fn samples(path: &Path, step: u64) -> PathBuf {
    path.join(format!("samples/step-{step:08}.png"))
}

/// The grids of the run at `path`, in the order of their steps.
pub(crate) fn grids(path: &Path) -> Result<Vec<PathBuf>> {
    let mut grids = entries(&path.join("samples"))?;
    grids.retain(|grid| step_of(grid).is_some_and(|step| samples(path, step) == *grid));
    grids.sort_by_key(|grid| step_of(grid));
    Ok(grids)
}

/// Whether a file of a run is a file, and neither it nor a directory below the run is a link.
pub(crate) fn is_own(run: &Path, file: &Path) -> bool {
    let Ok(inside) = file.strip_prefix(run) else { return false };
    let mut at = run.to_owned();
    let mut parts = inside.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else { return false };
        at.push(part);
        let Ok(found) = std::fs::symlink_metadata(&at) else { return false };
        let is_right = if parts.peek().is_none() { found.is_file() } else { found.is_dir() };
        if !is_right {
            return false;
        }
    }
    true
}

/// The step in the name of a grid.
pub(crate) fn step_of(grid: &Path) -> Option<u64> {
    grid.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

/// The newest checkpoint of the run at `path`, if there is one. It may be damaged.
pub(crate) fn newest_checkpoint(path: &Path) -> Option<PathBuf> {
    let checkpoints = entries(&path.join("checkpoints")).unwrap_or_default();
    // The names of checkpoints are in the order of their steps.
    checkpoints.into_iter().filter(|path| path.join("state.json").is_file()).max()
}

/// The last generator of the run at `path`.
pub(crate) fn generator(path: &Path) -> PathBuf {
    path.join("generator.safetensors")
}

/// The averaged generator of the run at `path`.
fn ema(path: &Path) -> PathBuf {
    path.join("ema.safetensors")
}

/// The last of `runs/NAME`, `runs/NAME-2`, ... that contains a run. If none does, `runs/NAME`. Some may
/// have been deleted.
pub(crate) fn last(name: &str) -> PathBuf {
    let first = Path::new("runs").join(name);
    let number = |path: &PathBuf| {
        let end = path.file_name()?.to_str()?.strip_prefix(name)?;
        let digits = end.strip_prefix('-').filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        if end.is_empty() { Some(1) } else { digits?.parse::<u32>().ok() }
    };
    let runs = entries(Path::new("runs")).unwrap_or_default().into_iter();
    let runs = runs.filter(|path| is_run(path)).filter_map(|path| Some((number(&path)?, path)));
    runs.max().map_or(first, |(_, path)| path)
}

fn numbered(name: &str) -> impl Iterator<Item = PathBuf> {
    let first = Path::new("runs").join(name);
    let name = name.to_owned();
    std::iter::once(first).chain((2u32..).map(move |n| Path::new("runs").join(format!("{name}-{n}"))))
}

/// Files by which a run is known.
const MARKS: [&str; 3] = ["config.toml", "metrics.jsonl", "generator.safetensors"];

fn is_run(path: &Path) -> bool {
    MARKS.iter().any(|file| path.join(file).exists())
}

/// Whether this program trained in the directory. Other programs have files of the same names, but
/// neither this lock nor checkpoints of this program beside them.
fn is_our_run(path: &Path) -> bool {
    is_run(path) && (path.join(".lock").exists() || newest_checkpoint(path).is_some())
}
