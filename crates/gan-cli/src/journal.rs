//! The file `metrics.jsonl`: one JSON object per line. Each has the `step` at which it was written,
//! and a checksum.

use anyhow::{Result, bail};
use gan_files::{Appender, FileError, is_sealed, seal, write_atomically};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The file of a run that is training.
#[derive(Debug)]
pub(crate) struct Journal(Appender);

impl Journal {
    /// Opens the file to continue after `step` steps. It drops later lines, because their work was
    /// lost.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        cut(path, step, &[])?;
        Ok(Self(Appender::open(path)?))
    }

    /// Appends a line. It is on the disk before a later checkpoint is. Otherwise it could be missing
    /// in a resume after a power failure. A kill leaves whole lines, or one partial line that a
    /// resume drops.
    pub(crate) fn append(&self, line: &impl Serialize) -> Result<()> {
        Ok(self.0.append(&to_text(line)?)?)
    }

    /// Drops the lines after `step` and appends one, in one atomic write. A crash leaves either all
    /// the old lines or all the new ones.
    pub(crate) fn rewind(path: &Path, step: u64, line: &impl Serialize) -> Result<()> {
        cut(path, step, &to_text(line)?)
    }
}

/// The whole lines that are a `T`, in order. Other lines are skipped. Without the file there are
/// none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = bytes(path)?;
    let whole = lines(&bytes).filter(|line| is_sealed(line));
    Ok(whole.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Checks the file of a run that is about to continue. Its records decide what a resume deletes, so
/// nothing is done on the word of a damaged one. Only the last line may be partial.
///
/// # Errors
/// The number of the first damaged line.
pub(crate) fn check(path: &Path) -> Result<()> {
    let bytes = bytes(path)?;
    let is_damaged = |line: &[u8]| line.ends_with(b"\n") && !is_sealed(line);
    match lines(&bytes).position(is_damaged) {
        None => Ok(()),
        Some(index) => bail!(
            "{}: line {} is damaged: its checksum does not fit; delete the line to go on without it",
            path.display(),
            index + 1
        ),
    }
}

/// The numbers of the damaged lines. The first line is 1.
pub(crate) fn damaged(path: &Path) -> Result<Vec<usize>> {
    let bytes = bytes(path)?;
    Ok(lines(&bytes).zip(1..).filter(|(line, _)| !is_sealed(line)).map(|(_, number)| number).collect())
}

fn to_text(line: &impl Serialize) -> Result<Vec<u8>> {
    Ok([&seal(&serde_json::to_vec(line)?), &b"\n"[..]].concat())
}

/// The content of the file. It is empty if there is none.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    match gan_files::read(path) {
        Err(FileError { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(vec![]),
        read => Ok(read?),
    }
}

/// The lines with their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// Keeps the lines up to `step`, and appends `more`.
fn cut(path: &Path, step: u64, more: &[u8]) -> Result<()> {
    /// The field that every line must have.
    #[derive(Deserialize)]
    struct Dated {
        step: u64,
    }
    let bytes = bytes(path)?;
    let is_kept = |line: &&[u8]| {
        line.ends_with(b"\n")
            && is_sealed(line)
            && serde_json::from_slice::<Dated>(line).is_ok_and(|line| line.step <= step)
    };
    let kept: Vec<&[u8]> = lines(&bytes).filter(is_kept).collect();
    let kept = [&kept.concat(), more].concat();
    if kept != bytes {
        write_atomically(path, &kept)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Lines with checksums.
    fn text(lines: &[serde_json::Value]) -> Vec<u8> {
        lines.iter().flat_map(|line| to_text(line).unwrap()).collect()
    }

    #[test]
    fn lines_of_lost_work_and_half_lines_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        cut(&path, 3, &[]).unwrap();
        let mut bytes = text(&[json!({"step": 2, "x": 1}), json!({"step": 4}), json!({"step": 6})]);
        bytes.extend(b"{\"st\xff\0\xfe");
        std::fs::write(&path, bytes).unwrap();
        check(&path).unwrap();
        let journal = Journal::open(&path, 4).unwrap();
        journal.append(&json!({"step": 5, "x": 2})).unwrap();
        let lines = [json!({"step": 2, "x": 1}), json!({"step": 4}), json!({"step": 5, "x": 2})];
        assert_eq!(std::fs::read(&path).unwrap(), text(&lines));
        Journal::rewind(&path, 2, &json!({"step": 2, "x": 9})).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), text(&[lines[0].clone(), json!({"step": 2, "x": 9})]));
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
        let mut bytes = text(&[json!({"step": 2, "x": 1}), json!({"step": 4}), json!({"x": 3})]);
        bytes.extend(b"{\"x\":4}\n{\"st");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read::<X>(&path).unwrap(), [X { x: 1 }, X { x: 3 }]);
        assert_eq!(damaged(&path).unwrap(), [4, 5]);
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let whole = text(&[json!({"step": 2, "x": 1.5}), json!({"step": 4}), json!({"step": 6})]);
        std::fs::write(&path, &whole).unwrap();
        check(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Without its end, the last line is a partial one.
            if bit / 8 + 1 < whole.len() {
                std::fs::write(&path, &bytes).unwrap();
                assert!(check(&path).unwrap_err().to_string().contains("metrics.jsonl: line "), "{bit}");
            }
        }
    }
}
