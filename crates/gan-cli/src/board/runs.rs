//! The runs that the page shows, and their files. Nothing outside of them is read, not even through a link.

use super::problem::Problem;
use crate::report::Record;
use crate::run_dir::{self, is_own};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What tells whether a file has changed.
pub(super) type Stamp = (u64, Option<SystemTime>);

/// The stamps of the journal, the configuration and the grids of a run, and whether it trains.
type Stamps = ([Stamp; 3], bool);

/// On a file system without locks, a run that has written nothing for so long does not train any more.
const SILENCE: Duration = Duration::from_mins(1);

/// Directories in which runs are looked for.
pub(super) struct Runs {
    roots: Vec<PathBuf>,
    /// Records that were read, with the stamp of their files.
    read: Mutex<HashMap<PathBuf, (Stamps, Arc<Record>)>>,
}

/// Number of runs, at most.
const MOST: usize = 1000;

impl Runs {
    pub(super) fn of(roots: &[PathBuf]) -> Self {
        Self { roots: roots.to_vec(), read: Mutex::default() }
    }

    /// The runs by name: the directories that were given, and the directories in them. Names of runs are
    /// those of their directories; where two have the same, their paths.
    pub(super) fn all(&self) -> BTreeMap<String, PathBuf> {
        let mut found: Vec<PathBuf> = vec![];
        for root in &self.roots {
            if is_run(root) {
                found.push(root.clone());
                continue;
            }
            let Ok(entries) = std::fs::read_dir(root) else { continue };
            // The type of an entry is that of a link itself, so links are passed over.
            let directories =
                entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            found.extend(directories.map(|entry| entry.path()).filter(|path| is_run(path)));
        }
        found.sort();
        found.dedup();
        found.truncate(MOST);
        let name = |path: &PathBuf| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        let mut counts: HashMap<String, usize> = HashMap::new();
        for path in &found {
            *counts.entry(name(path)).or_default() += 1;
        }
        let named = found.into_iter().map(|path| {
            let name = name(&path);
            (if counts[&name] > 1 { path.display().to_string() } else { name }, path)
        });
        named.collect()
    }

    /// The directories in which runs are looked for, for people.
    pub(super) fn places(&self) -> String {
        let places: Vec<_> = self.roots.iter().map(|root| root.display().to_string()).collect();
        places.join(", ")
    }

    /// The directory of a run.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, Problem> {
        self.all().remove(name).ok_or_else(|| Problem::missing("There is no run of this name (any more)."))
    }

    /// What a run says about itself. It is read again if its files have changed.
    pub(super) fn record(&self, name: &str, path: &Path) -> Result<Arc<Record>> {
        let now = stamps(path);
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, record)) = read().get(path)
            && *then == now
        {
            return Ok(Arc::clone(record));
        }
        let mut record = Record::read(path)?;
        name.clone_into(&mut record.name);
        record.is_training = now.1;
        record.grids.retain(|(_, grid)| is_own(path, grid));
        let record = Arc::new(record);
        read().insert(path.to_owned(), (now, Arc::clone(&record)));
        Ok(record)
    }

    /// What tells which runs have changed, by name.
    pub(super) fn stamps(&self) -> HashMap<String, Stamps> {
        self.all().into_iter().map(|(name, path)| (name, stamps(&path))).collect()
    }
}

/// Whether a directory holds a run whose files are its own.
fn is_run(path: &Path) -> bool {
    [run_dir::metrics(path), run_dir::config(path)].iter().all(|file| is_own(path, file))
}

fn stamps(run: &Path) -> Stamps {
    let journal = stamp(&run_dir::metrics(run));
    let silence = || journal.1.and_then(|written| written.elapsed().ok());
    let is_training =
        run_dir::is_training(run).unwrap_or_else(|| silence().is_some_and(|silence| silence < SILENCE));
    ([journal, stamp(&run_dir::config(run)), stamp(&run.join("samples"))], is_training)
}

/// The stamp of a file, or of a directory, which changes as files come and go.
pub(super) fn stamp(path: &Path) -> Stamp {
    std::fs::metadata(path).map_or((0, None), |found| (found.len(), found.modified().ok()))
}

/// The bytes of a run's own file of at most `most` bytes.
pub(super) fn read_own(run: &Path, file: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    if !is_own(run, file) {
        return Err(Problem::missing("there is no such file (any more)"));
    }
    if stamp(file).0 > most {
        return Err(Problem::bad("this file is too large for a page"));
    }
    Ok(gan_files::read(file).map_err(anyhow::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: &Path) {
        std::fs::create_dir_all(at.join("samples")).unwrap();
        for file in ["config.toml", "metrics.jsonl"] {
            std::fs::write(at.join(file), "").unwrap();
        }
    }

    #[test]
    fn runs_are_found_by_name_and_never_through_links() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["one/a", "one/b", "two/a", "outside/c"] {
            run(&at(name));
        }
        std::fs::create_dir(at("one/notes")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("outside/c"), at("one/link")).unwrap();
            run(&at("one/half"));
            std::fs::remove_file(at("one/half/metrics.jsonl")).unwrap();
            std::os::unix::fs::symlink(at("outside/c/metrics.jsonl"), at("one/half/metrics.jsonl")).unwrap();
        }
        let runs = Runs::of(&[at("one"), at("two"), at("two/a")]);
        let names: Vec<String> = runs.all().into_keys().collect();
        let path = |name: &str| at(name).display().to_string();
        assert_eq!(names, [path("one/a"), path("two/a"), "b".to_owned()]);
        assert!(runs.path("b").is_ok());
        for name in ["", ".", "..", "../outside/c", "link", "c", "notes", "one"] {
            assert!(runs.path(name).is_err(), "{name}");
        }
    }

    #[test]
    fn only_own_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("run");
        run(&at);
        std::fs::write(at.join("samples/step-00000001.png"), "png").unwrap();
        std::fs::write(directory.path().join("secret"), "secret").unwrap();
        let own = at.join("samples/step-00000001.png");
        assert_eq!(read_own(&at, &own, 3).unwrap(), b"png");
        assert!(read_own(&at, &own, 2).is_err(), "too large");
        assert!(read_own(&at, &at.join("samples/../../secret"), 100).is_err());
        assert!(read_own(&at, &directory.path().join("secret"), 100).is_err());
        assert!(read_own(&at, &at.join("samples"), 100).is_err(), "a directory");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(directory.path().join("secret"), at.join("samples/step-00000002.png"))
                .unwrap();
            assert!(read_own(&at, &at.join("samples/step-00000002.png"), 100).is_err());
            std::os::unix::fs::symlink(directory.path(), at.join("best")).unwrap();
            assert!(read_own(&at, &at.join("best/secret"), 100).is_err());
        }
    }
}
