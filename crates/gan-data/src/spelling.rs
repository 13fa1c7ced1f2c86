//! Where a data set's file is, under whichever of its names people keep it.

use std::path::{Path, PathBuf};

use crate::{DataError, Result};

/// The file called `file` in `dir`, or in `unpacked`, the directory in it that the archive unpacks to.
///
/// # Errors
///
/// If there is none; the error lists every spelling.
pub(crate) fn require(dir: &Path, file: &str, unpacked: Option<&str>) -> Result<PathBuf> {
    find(dir, file, unpacked)
        .ok_or_else(|| DataError::MissingFile { dir: dir.to_owned(), tried: spellings(file, unpacked) })
}

/// As [`require`], for a file that need not be there.
pub(crate) fn find(dir: &Path, file: &str, unpacked: Option<&str>) -> Option<PathBuf> {
    // Some archives unpack to a directory of the file's name, which is not the file.
    spellings(file, unpacked).into_iter().map(|file| dir.join(file)).find(|path| path.is_file())
}

/// The names to look for, best first: raw files before `.gz`, and those in the directory itself before those below.
fn spellings(file: &str, unpacked: Option<&str>) -> Vec<String> {
    // The dot appears where an unpacker took `-idx3-ubyte` for an extension.
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
