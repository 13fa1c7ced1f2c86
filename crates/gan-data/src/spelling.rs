//! Finds a data set's file under any of its usual names.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;

use crate::packed::{Content, GZIP_MAGIC, MAX_BYTES};
use crate::{DataError, Result, folder};

/// Checks that `dir` is a directory.
///
/// # Errors
///
/// If it is a file, or does not exist.
pub(crate) fn require_dir(dir: &Path) -> Result<()> {
    let metadata =
        std::fs::metadata(dir).map_err(|source| DataError::Read { path: dir.to_owned(), source })?;
    if metadata.is_dir() { Ok(()) } else { Err(DataError::NotDirectory { path: dir.to_owned() }) }
}

/// The path of the file called `file`, in `dir` or in one of the directories `below` it, where
/// archives and other programs put it.
///
/// # Errors
///
/// If there is no such file. The error lists every spelling. If there is another file beside it
/// under another usual name, with other content ([`check_alone`]).
pub(crate) fn require(dir: &Path, file: &str, below: &[&str]) -> Result<PathBuf> {
    let path = find(dir, file, below).ok_or_else(|| DataError::MissingFile {
        dir: dir.to_owned(),
        tried: spellings(file, below),
        pictures: folder::has_pictures(dir),
    })?;
    check_alone(&path, file)?;
    Ok(path)
}

/// Checks that no file beside `path`, which has one of the usual names of `file`, has another of them
/// and other content. A file that cannot be read is passed over, because it is not used.
///
/// # Errors
///
/// If there is one: nothing says which of them is meant.
pub(crate) fn check_alone(path: &Path, file: &str) -> Result<()> {
    let others = spellings(file, &[]).into_iter().map(|name| path.with_file_name(name));
    for other in others.filter(|other| other != path && other.is_file()) {
        let is_quickly_the_same = match (announced(path), announced(&other)) {
            (Ok(one), Ok(two)) => one == two,
            _ => false,
        };
        if !is_quickly_the_same
            && let Ok(found) = checksum(&other)
            && found != checksum(path)?
        {
            return Err(DataError::Value {
                field: "data.dir",
                expected: format!("the same content in {} and {}", path.display(), other.display()),
                found: "two contents: delete the wrong file".to_owned(),
            });
        }
    }
    Ok(())
}

/// Checksum and length of a file's uncompressed bytes, modulo 2^32.
type Checksum = (u32, u32);

/// The checksum at the end of a gzip file, which is that of its last stream. Raw files are read.
fn announced(path: &Path) -> io::Result<Checksum> {
    let mut file = File::open(path)?;
    let mut start = vec![];
    file.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    if start != GZIP_MAGIC {
        return checksum(path).map_err(io::Error::other);
    }
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [sum, length] = [0, 4].map(|at| u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]));
    Ok((sum, length))
}

/// The checksum of the bytes themselves.
fn checksum(path: &Path) -> Result<Checksum> {
    const PIECE: u64 = 1 << 20;
    let (mut content, mut sum, mut length) = (Content::open(path)?, Crc::new(), 0);
    while length < MAX_BYTES {
        let bytes = content.read(PIECE)?;
        if bytes.is_empty() {
            break;
        }
        length += bytes.len() as u64;
        sum.update(&bytes);
    }
    Ok((sum.sum(), length as u32))
}

/// Like [`require`], for a file that may be missing.
pub(crate) fn find(dir: &Path, file: &str, below: &[&str]) -> Option<PathBuf> {
    // Some archives unpack to a directory that has the file's name. It is not the file. A pipe or a
    // device is found, so that it is refused by name.
    let is_file = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| !found.is_dir());
    spellings(file, below).into_iter().map(|file| dir.join(file)).find(is_file)
}

/// The names to try, best first: raw files before `.gz`, and files in the directory before those
/// `below`.
fn spellings(file: &str, below: &[&str]) -> Vec<String> {
    // Some unpackers treat `-idx3-ubyte` as an extension and write a dot.
    let dotted = file.replace("-idx", ".idx");
    let mut names = vec![file.to_owned()];
    if dotted != file {
        names.push(dotted);
    }
    names.extend(names.clone().into_iter().map(|name| format!("{name}.gz")));
    let below = below.iter().flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")));
    let below: Vec<_> = below.collect();
    [names, below].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_another_of_another_spelling_must_be_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [raw, packed] = ["a-idx1-ubyte", "a-idx1-ubyte.gz"].map(|name| dir.path().join(name));
        let gzip = |parts: &[&[u8]]| {
            let member = |part: &&[u8]| {
                let mut bytes = vec![];
                flate2::GzBuilder::new()
                    .read(*part, flate2::Compression::fast())
                    .read_to_end(&mut bytes)
                    .unwrap();
                bytes
            };
            parts.iter().map(member).collect::<Vec<_>>().concat()
        };
        std::fs::write(&raw, b"some bytes").unwrap();
        let found = || require(dir.path(), "a-idx1-ubyte", &[]);
        // The second has two streams, the third is damaged.
        for same in [gzip(&[b"some bytes"]), gzip(&[b"some ", b"bytes"]), b"nothing".to_vec()] {
            std::fs::write(&packed, same).unwrap();
            assert_eq!(found().unwrap(), raw);
        }
        for other in [&b"some bytez"[..], b"some byte", b""] {
            std::fs::write(&packed, gzip(&[other])).unwrap();
            let error = found().unwrap_err().to_string();
            assert!(error.ends_with("a-idx1-ubyte.gz, found two contents: delete the wrong file"), "{error}");
        }
    }

    #[test]
    fn every_spelling_has_its_place() {
        assert_eq!(spellings("a.bin", &[]), ["a.bin", "a.bin.gz"]);
        let names = ["a-idx1-ubyte", "a.idx1-ubyte", "a-idx1-ubyte.gz", "a.idx1-ubyte.gz"];
        assert_eq!(spellings("a-idx1-ubyte", &["b", "c/d"])[..4], names);
        let below = ["b", "c/d"].map(|dir| names.map(|name| format!("{dir}/{name}"))).concat();
        assert_eq!(spellings("a-idx1-ubyte", &["b", "c/d"])[4..], below);
    }
}
