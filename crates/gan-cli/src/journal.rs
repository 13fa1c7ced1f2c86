//! The file `metrics.jsonl`: one JSON object per line. Each has the `step` at which it was written,
//! and a checksum of the file up to this line.

use anyhow::{Result, bail};
use gan_files::{
    Appender, FileError, checksum, is_sealed, is_sealed_after, seal_after, unsealed, write_atomically,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The file of a run that is training.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Appender,
    /// The checksum of the last line.
    last: u32,
}

impl Journal {
    /// Opens the file to continue after `step` steps. It drops later lines, because their work was
    /// lost.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        let last = cut(path, step, None)?;
        Ok(Self { file: Appender::open(path)?, last })
    }

    /// Appends a line. It is on the disk before a later checkpoint is. Otherwise it could be missing
    /// in a resume after a power failure. A kill leaves whole lines, or one partial line that a
    /// resume drops.
    pub(crate) fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = vec![];
        let last = push(&mut text, self.last, &serde_json::to_vec(line)?);
        self.file.append(&text)?;
        self.last = last;
        Ok(())
    }

    /// Drops the lines after `step` and appends one, in one atomic write. A crash leaves either all
    /// the old lines or all the new ones.
    pub(crate) fn rewind(path: &Path, step: u64, line: &impl Serialize) -> Result<()> {
        cut(path, step, Some(&serde_json::to_vec(line)?)).map(drop)
    }
}

/// The whole lines that are a `T`, in order. Other lines are skipped. Without the file there are
/// none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = bytes(path)?;
    let whole = lines(&bytes).filter(|(_, fits)| *fits);
    Ok(whole.filter_map(|(line, _)| serde_json::from_slice(line).ok()).collect())
}

/// Checks the file of a run that is about to continue. Its records decide what a resume deletes, so
/// nothing is done on the word of a damaged one. Only the last line may be partial.
///
/// # Errors
/// The number of the first line that is damaged or does not follow the line before it.
pub(crate) fn check(path: &Path) -> Result<()> {
    check_bytes(path, &bytes(path)?)
}

fn check_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut previous = None;
    for ((line, fits), number) in lines(bytes).zip(1..) {
        if line.ends_with(b"\n") && !fits {
            let what = if previous == Some(line) {
                "repeats the line before it"
            } else if number > 1 && is_sealed(line) {
                // Those versions computed each checksum from its own line only.
                "does not follow the line before it: is the file of a version before the first release?"
            } else {
                "is damaged, or does not follow the line before it: its checksum does not fit"
            };
            bail!(
                "{}: line {number} {what}; to go on without it, delete it and all lines after it",
                path.display()
            );
        }
        previous = Some(line);
    }
    Ok(())
}

/// The numbers of the lines that are damaged or do not follow the line before them. The first line
/// is 1.
pub(crate) fn damaged(path: &Path) -> Result<Vec<usize>> {
    let bytes = bytes(path)?;
    Ok(lines(&bytes).zip(1..).filter(|((_, fits), _)| !fits).map(|(_, number)| number).collect())
}

/// Appends a line to a text whose last line has the checksum `last`. Returns the new line's.
fn push(text: &mut Vec<u8>, last: u32, object: &[u8]) -> u32 {
    let line = seal_after(last, object);
    text.extend_from_slice(&line);
    text.push(b'\n');
    checksum(&line).unwrap_or_default()
}

/// The content of the file. It is empty if there is none.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    match gan_files::read(path) {
        Err(FileError { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(vec![]),
        read => Ok(read?),
    }
}

/// The lines with their ends, and whether the checksum of each fits the line and the checksum of the
/// line before it.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut last = Some(0);
    bytes.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let fits = last.is_some_and(|last| is_sealed_after(last, line));
        last = checksum(line);
        (line, fits)
    })
}

/// Keeps the lines up to `step`, and appends `more`. Returns the checksum of the last line.
fn cut(path: &Path, step: u64, more: Option<&[u8]>) -> Result<u32> {
    /// The field that every line must have.
    #[derive(Deserialize)]
    struct Dated {
        step: u64,
    }
    let bytes = bytes(path)?;
    check_bytes(path, &bytes)?;
    let is_kept = |line: &&[u8]| {
        line.ends_with(b"\n") && serde_json::from_slice::<Dated>(line).is_ok_and(|line| line.step <= step)
    };
    let kept = lines(&bytes).map(|(line, _)| line).filter(is_kept).filter_map(unsealed);
    let (mut text, mut last) = (vec![], 0);
    for object in kept.chain(more.map(<[u8]>::to_vec)) {
        last = push(&mut text, last, &object);
    }
    if text != bytes {
        write_atomically(path, &text)?;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Lines with checksums.
    fn text(lines: &[serde_json::Value]) -> Vec<u8> {
        let (mut text, mut last) = (vec![], 0);
        for line in lines {
            last = push(&mut text, last, &serde_json::to_vec(line).unwrap());
        }
        text
    }

    #[test]
    fn lines_of_lost_work_and_half_lines_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        cut(&path, 3, None).unwrap();
        let mut bytes =
            text(&[json!({"step": 2, "x": 1}), json!({"step": 4, "y": {"z": {}}}), json!({"step": 6})]);
        bytes.extend(b"{\"st\xff\0\xfe");
        std::fs::write(&path, bytes).unwrap();
        check(&path).unwrap();
        let mut journal = Journal::open(&path, 4).unwrap();
        journal.append(&json!({"step": 5, "x": 2})).unwrap();
        let kept = json!({"step": 4, "y": {"z": {}}});
        let lines = [json!({"step": 2, "x": 1}), kept, json!({"step": 5, "x": 2})];
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

    #[test]
    fn a_line_that_does_not_follow_the_one_before_it_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let problem = |lines: &[&[u8]]| {
            std::fs::write(&path, lines.concat()).unwrap();
            let error = check(&path).unwrap_err().to_string();
            // What is wrong is not dropped in silence either.
            assert_eq!(Journal::open(&path, 9).unwrap_err().to_string(), error);
            assert_eq!(std::fs::read(&path).unwrap(), lines.concat());
            let (_, said) = error.split_once("metrics.jsonl: ").unwrap();
            said.split_once("; to go on without it, delete it and all lines after it").unwrap().0.to_owned()
        };
        let split = |whole: &[u8]| -> Vec<Vec<u8>> {
            whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        let run = split(&text(&[json!({"step": 1}), json!({"step": 2}), json!({"step": 3})]));
        let other = split(&text(&[json!({"step": 1, "x": 1}), json!({"step": 2}), json!({"step": 3})]));
        let [a, b, c] = [0, 1, 2].map(|i| &run[i][..]);
        let unrelated = |line| {
            format!(
                "line {line} is damaged, or does not follow the line before it: its checksum does not fit"
            )
        };
        assert_eq!(problem(&[a, c]), unrelated(2));
        assert_eq!(problem(&[b, c]), unrelated(1));
        assert_eq!(problem(&[a, &other[1], c]), unrelated(2));
        assert_eq!(problem(&[a, b, &other[2]]), unrelated(3));
        assert_eq!(problem(&[a, c, b]), unrelated(2));
        assert_eq!(problem(&[a, b, b, c]), "line 3 repeats the line before it");
        let old = gan_files::seal(b"{\"step\":2}");
        let version =
            "does not follow the line before it: is the file of a version before the first release?";
        assert_eq!(problem(&[a, &old, b"\n"]), format!("line 2 {version}"));
        std::fs::write(&path, [a, b, c].concat()).unwrap();
        check(&path).unwrap();
    }
}
