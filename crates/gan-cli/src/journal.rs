//! The file `metrics.jsonl`: one JSON object per line. Each has the `step` at which it was written.

use anyhow::{Context, Result};
use gan_files::write_atomically;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file of a run that is training.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the file to continue after `step` steps. It drops later lines, because their work was
    /// lost.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        let at = || path.display().to_string();
        cut(path, step, &[]).with_context(at)?;
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(at)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends a line.
    pub(crate) fn append(&self, line: &impl Serialize) -> Result<()> {
        let at = || self.path.display().to_string();
        let text = to_text(line)?;
        // This is one write, so a kill leaves whole lines, or one partial line that a resume drops.
        (&self.file).write_all(&text).with_context(at)?;
        // The line must be on the disk before a later checkpoint is. Otherwise it could be missing
        // in a resume after a power failure.
        self.file.sync_data().with_context(at)
    }

    /// Drops the lines after `step` and appends one, in one atomic write. A crash leaves either all
    /// the old lines or all the new ones.
    pub(crate) fn rewind(path: &Path, step: u64, line: &impl Serialize) -> Result<()> {
        cut(path, step, &to_text(line)?).with_context(|| path.display().to_string())
    }
}

/// The lines that are a `T`, in order. Other lines are skipped. Without the file there are none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|l| serde_json::from_str(l).ok()).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn to_text(line: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// Number of lines that are not JSON. The run must not be training.
pub(crate) fn damaged(path: &Path) -> Result<usize> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err()).count())
}

/// Keeps the lines up to `step`, and appends `more`.
fn cut(path: &Path, step: u64, more: &[u8]) -> Result<()> {
    /// The field that every line must have.
    #[derive(Deserialize)]
    struct Dated {
        step: u64,
    }
    // Only a crash can leave bytes that are not text, and only in the last line.
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => vec![],
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .filter(|line| serde_json::from_str::<Dated>(line).is_ok_and(|line| line.step <= step))
        .collect();
    let kept = [kept.as_bytes(), more].concat();
    if kept != bytes {
        write_atomically(path, &kept)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_lost_work_and_half_lines_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        cut(&path, 3, &[]).unwrap();
        std::fs::write(&path, "{\"step\":2,\"x\":1}\n{\"step\":4}\n{\"step\":6}\n{\"st").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0xff, 0, 0xfe]);
        std::fs::write(&path, bytes).unwrap();
        let journal = Journal::open(&path, 4).unwrap();
        journal.append(&serde_json::json!({"step": 5, "x": 2})).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":2,\"x\":1}\n{\"step\":4}\n{\"step\":5,\"x\":2}\n");
        Journal::rewind(&path, 2, &serde_json::json!({"step": 2, "x": 9})).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":2,\"x\":1}\n{\"step\":2,\"x\":9}\n");
    }

    #[test]
    fn lines_of_one_kind_are_picked_out() {
        #[derive(Deserialize, PartialEq, Debug)]
        struct X {
            x: u32,
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        assert_eq!(read::<X>(&path).unwrap(), []);
        std::fs::write(&path, "{\"step\":2,\"x\":1}\n{\"step\":4}\n{\"x\":3}\n{\"st").unwrap();
        assert_eq!(read::<X>(&path).unwrap(), [X { x: 1 }, X { x: 3 }]);
    }
}
