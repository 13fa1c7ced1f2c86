//! Finds a data set's file under any of its usual names.

use std::path::{Path, PathBuf};

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
/// If there is no such file. The error lists every spelling.
pub(crate) fn require(dir: &Path, file: &str, below: &[&str]) -> Result<PathBuf> {
    find(dir, file, below).ok_or_else(|| DataError::MissingFile {
        dir: dir.to_owned(),
        tried: spellings(file, below),
        pictures: folder::has_pictures(dir),
    })
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
    fn every_spelling_has_its_place() {
        assert_eq!(spellings("a.bin", &[]), ["a.bin", "a.bin.gz"]);
        let names = ["a-idx1-ubyte", "a.idx1-ubyte", "a-idx1-ubyte.gz", "a.idx1-ubyte.gz"];
        assert_eq!(spellings("a-idx1-ubyte", &["b", "c/d"])[..4], names);
        let below = ["b", "c/d"].map(|dir| names.map(|name| format!("{dir}/{name}"))).concat();
        assert_eq!(spellings("a-idx1-ubyte", &["b", "c/d"])[4..], below);
    }
}
