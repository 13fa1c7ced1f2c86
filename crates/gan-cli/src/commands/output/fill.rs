//! Directories that get all their files at once.

use super::{Place, make_directory, parent};
use crate::exit::usage;
use crate::signals::{Stop, Uninterrupted};
use anyhow::{Context, Result, anyhow};
use gan_files::{Abandoned, check_own, move_new, sync_directory};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Fills a directory with pictures, which `write` makes in another one. It returns their names. The
/// directory gets them only when all of them are complete, and then it loses the numbered pictures that
/// it held when the command began. A new directory appears with all of them.
pub(crate) fn fill_with_pictures(
    place: &Place,
    stop: &Stop,
    write: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<()> {
    let check = |out: &Path| {
        let now = numbered(out)?;
        let Some(new) = now.into_iter().find(|picture| !place.numbered.contains(picture)) else {
            return Ok(());
        };
        let new = out.join(new);
        Err(anyhow!("{}: appeared while the pictures were drawn, so they were not written", new.display()))
    };
    fill(place.path(), stop, (&place.numbered, check), write)
}

/// The same for other files. The directory keeps all that it held, except the files with the names `old`.
pub(crate) fn fill_with_files(
    out: &Path,
    stop: &Stop,
    old: &[PathBuf],
    write: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<()> {
    fill(out, stop, (old, |_| Ok(())), write)
}

fn fill(
    out: &Path,
    stop: &Stop,
    (old, check): (&[PathBuf], impl FnOnce(&Path) -> Result<()>),
    write: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<()> {
    // Without the separator at its end, the path can be that of a renamed directory.
    let out: &Path = &out.components().collect::<PathBuf>();
    let at = || out.display().to_string();
    let is_new = !out.exists();
    let home = if is_new { parent(out) } else { out };
    let made: Vec<&Path> = home.ancestors().take_while(|path| !path.exists()).collect();
    make_directory(home, out)?;
    sweep(home);
    let unfinished = Unfinished::within(home).with_context(at)?;
    let place = unfinished.directory.path().to_owned();
    let names = match write(&place).and_then(|names| stop.check().map(|()| names)) {
        Ok(names) => names,
        Err(error) => {
            drop(unfinished);
            // If this fails, an empty directory stays. The first error says more.
            for path in made {
                let _ = std::fs::remove_dir(path);
            }
            return Err(at_its_place(error, &place, out));
        }
    };
    // From here on, pictures would be lost.
    let _whole = Uninterrupted::begin();
    let Unfinished { lock: _lock, directory, abandoned } = unfinished;
    let place = directory.keep();
    drop(abandoned);
    let moved = if is_new {
        let renamed = std::fs::remove_file(place.join(LOCK)).and_then(|()| std::fs::rename(&place, out));
        renamed.map_err(gan_files::appeared).with_context(at)
    } else {
        check(out).and_then(|()| replace(out, &place, old, &names))
    };
    if moved.is_err() || !is_new {
        // What cannot be deleted harms nobody.
        let _ = std::fs::remove_dir_all(&place);
    }
    moved?;
    Ok(sync_directory(home)?)
}

/// Moves files from one directory to another, which loses the old ones. After an error, it has the old ones
/// again.
fn replace(out: &Path, from: &Path, old: &[PathBuf], names: &[String]) -> Result<()> {
    if let Some(taken) = names.iter().map(|name| out.join(name)).find(|path| path.is_dir()) {
        return Err(usage(format!("{}: expected a file or nothing, found a directory", taken.display())));
    }
    let aside = from.join(".old");
    std::fs::create_dir(&aside).with_context(|| out.display().to_string())?;
    let mut moved = 0;
    let mut move_all = || -> Result<()> {
        for name in old {
            let file = out.join(name);
            match std::fs::rename(&file, aside.join(name)) {
                // Somebody has deleted it.
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                done => done.with_context(|| file.display().to_string())?,
            }
        }
        for name in names {
            move_new(&from.join(name), &out.join(name))?;
            moved += 1;
        }
        Ok(())
    };
    let result = move_all();
    if result.is_err() {
        for name in &names[..moved] {
            let _ = std::fs::remove_file(out.join(name));
        }
        for name in old {
            let _ = move_new(&aside.join(name), &out.join(name));
        }
    }
    result
}

/// Names the place of a file in an error, because nobody knows its unfinished directory.
fn at_its_place(error: anyhow::Error, unfinished: &Path, place: &Path) -> anyhow::Error {
    let text = crate::exit::message(&error);
    let unfinished = unfinished.display().to_string();
    if text.contains(&unfinished) {
        anyhow::anyhow!(text.replace(&unfinished, &place.display().to_string()))
    } else {
        error
    }
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
    lock: File,
    directory: TempDir,
    abandoned: Abandoned,
}

impl Unfinished {
    fn within(out: &Path) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).rand_bytes(RANDOM);
        // A temporary directory is private by default, but this one may become an ordinary one.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        loop {
            let directory = builder.tempdir_in(out)?;
            let abandoned = Abandoned::unless_dropped(directory.path());
            let path = directory.path().join(LOCK);
            let lock = match File::create_new(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                lock => lock?,
            };
            // Another process may sweep the directory before it is locked. A file system without locks has
            // no sweeping either.
            let is_swept = matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists();
            if !is_swept {
                return Ok(Self { lock, directory, abandoned });
            }
        }
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
pub(super) fn numbered(directory: &Path) -> Result<Vec<PathBuf>> {
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

    fn written(directory: &Path, names: &[&str]) -> Result<Vec<String>> {
        for name in names {
            std::fs::write(directory.join(name), "new")?;
        }
        Ok(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn contents(directory: &Path) -> Vec<(String, String)> {
        let paths = gan_files::entries(directory).unwrap();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn what_appears_in_the_meantime_stays_and_the_old_files_do_too() {
        let (home, stop) = (tempfile::tempdir().unwrap(), Stop::default());
        let out = home.path();
        std::fs::write(out.join("a"), "old").unwrap();
        let fill = |newcomer: Option<&str>| {
            fill_with_files(out, &stop, &["a".into()], |directory| {
                if let Some(name) = newcomer {
                    std::fs::write(out.join(name), "mine")?;
                }
                written(directory, &["a", "b", "c"])
            })
        };
        let error = fill(Some("c")).unwrap_err();
        assert!(format!("{error:#}").contains("c: File exists") || cfg!(windows), "{error:#}");
        assert_eq!(contents(out), pairs(&[("a", "old"), ("c", "mine")]));
        std::fs::remove_file(out.join("c")).unwrap();
        fill(Some("d")).unwrap();
        assert_eq!(contents(out), pairs(&[("a", "new"), ("b", "new"), ("c", "new"), ("d", "mine")]));
    }

    #[test]
    fn only_pictures_that_were_there_at_the_beginning_are_replaced() {
        let (home, stop) = (tempfile::tempdir().unwrap(), Stop::default());
        let out = home.path();
        for name in ["0.png", "1.png", "notes.png"] {
            std::fs::write(out.join(name), "old").unwrap();
        }
        let place = Place::new(out.to_owned());
        std::fs::write(out.join("2024.png"), "mine").unwrap();
        let fill = || fill_with_pictures(&place, &stop, |directory| written(directory, &["0.png"]));
        let error = fill().unwrap_err().to_string();
        assert!(
            error.ends_with("2024.png: appeared while the pictures were drawn, so they were not written")
        );
        let all = [("0.png", "old"), ("1.png", "old"), ("2024.png", "mine"), ("notes.png", "old")];
        assert_eq!(contents(out), pairs(&all));
        std::fs::remove_file(out.join("2024.png")).unwrap();
        fill().unwrap();
        assert_eq!(contents(out), pairs(&[("0.png", "new"), ("notes.png", "old")]));
    }

    /// All of them look for what dead commands left beside their directories.
    #[test]
    fn commands_in_the_same_place_do_not_disturb_each_other() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let out = home.path();
                scope.spawn(move || {
                    for n in 0..200 {
                        let place = out.join(format!("{thread}-{n}"));
                        fill_with_files(&place, &Stop::default(), &[], |at| written(at, &["a"])).unwrap();
                    }
                });
            }
        });
        assert_eq!(gan_files::entries(home.path()).unwrap().len(), 1600);
    }

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
