//! What a process that cannot go on deletes: its unfinished files and directories.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is unfinished now.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

/// Deletes the unfinished files and directories of this process. This is for a process that ends without
/// dropping its values, for example when there is no more memory. What cannot be deleted stays, and
/// [`sweep`](crate::sweep) deletes it later.
pub fn abandon() {
    // Whoever holds the lock may be the thread that cannot go on, so nothing here waits for it.
    let Ok(unfinished) = UNFINISHED.try_lock() else { return };
    for path in unfinished.iter().filter(|path| std::fs::remove_file(path).is_err()) {
        // Another thread may be about to move the directory to its place. It must not find a part of it.
        let aside = aside(path);
        let path = if std::fs::rename(path, &aside).is_ok() { &aside } else { path };
        // Another thread may still write into the directory.
        let mut tries = 3;
        while tries > 0 && std::fs::remove_dir_all(path).is_err() {
            tries -= 1;
        }
    }
}

/// Another name for an unfinished directory, whose name ends in a random letter or digit.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let last = if name.pop() == Some('0') { '1' } else { '0' };
    name.push(last);
    path.with_file_name(name)
}

/// While it lives, [`abandon`] deletes the path.
#[derive(Debug)]
pub struct Abandoned(PathBuf);

impl Abandoned {
    /// Remembers a file or directory that has just been made.
    #[must_use]
    pub fn unless_dropped(path: &Path) -> Self {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = unfinished.iter().position(|path| *path == self.0) {
            unfinished.swap_remove(place);
        }
    }
}
