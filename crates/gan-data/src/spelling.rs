//! Finds a data set's file under any of its usual names.

use std::path::{Path, PathBuf};

use crate::{DataError, Result};

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

/// The path of the file called `file`, in `dir` or in the directory `unpacked` there, which the
/// archive unpacks to.
///
/// # Errors
///
/// If there is no such file. The error lists every spelling.
pub(crate) fn require(dir: &Path, file: &str, unpacked: Option<&str>) -> Result<PathBuf> {
    find(dir, file, unpacked)
        .ok_or_else(|| DataError::MissingFile { dir: dir.to_owned(), tried: spellings(file, unpacked) })
}

/// Like [`require`], for a file that may be missing.
pub(crate) fn find(dir: &Path, file: &str, unpacked: Option<&str>) -> Option<PathBuf> {
    // Some archives unpack to a directory that has the file's name. It is not the file.
    spellings(file, unpacked).into_iter().map(|file| dir.join(file)).find(|path| path.is_file())
}

/// The names to try, best first: raw files before `.gz`, and files in the directory before those in
/// `unpacked`.
fn spellings(file: &str, unpacked: Option<&str>) -> Vec<String> {
    // Some unpackers treat `-idx3-ubyte` as an extension and write a dot.
    let dotted = file.replace("-idx", ".idx");
    let mut names = vec![file.to_owned()];
    if dotted != file {
        names.push(dotted);
    }
    names.extend(names.clone().into_iter().map(|name| format!("{name}.gz")));
    let below = unpacked.into_iter().flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")));
    let below: Vec<_> = below.collect();
    [names, below].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_its_place() {
        assert_eq!(spellings("a.bin", None), ["a.bin", "a.bin.gz"]);
        let names = ["a-idx1-ubyte", "a.idx1-ubyte", "a-idx1-ubyte.gz", "a.idx1-ubyte.gz"];
        assert_eq!(spellings("a-idx1-ubyte", Some("b"))[..4], names);
        assert_eq!(spellings("a-idx1-ubyte", Some("b"))[4..], names.map(|name| format!("b/{name}")));
    }
}
