//! Compares files with those that the authors of a data set published.

use std::path::{Path, PathBuf};

use crate::packed::{Content, MAX_BYTES};
use crate::sources::Descriptor;
use crate::{Result, Source, Split, spelling};

/// Number of bytes that are hashed at once.
const CHUNK: u64 = 1 << 20;

/// The comparison of one file with the published one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The published name, such as `train-images-idx3-ubyte`.
    pub file: String,
    /// Where the file was found, in any spelling of its name. `None` if it is missing.
    pub path: Option<PathBuf>,
    /// SHA-256 of the uncompressed bytes in hexadecimal. `None` if the file is missing.
    pub sha256: Option<String>,
    /// Whether the uncompressed bytes are those of the published file.
    pub canonical: bool,
}

impl Source {
    /// Compares the files in `dir` with the published ones, by SHA-256 of the uncompressed bytes. A
    /// composed data set uses the files of the data set that it is made of ([`Source::made_of`]). A
    /// missing file is reported and is not an error. `None` if no hashes are known.
    ///
    /// # Errors
    ///
    /// If an existing file cannot be read, or is damaged gzip.
    pub fn check_files(self, dir: impl AsRef<Path>) -> Result<Option<Vec<FileCheck>>> {
        let dir = dir.as_ref();
        let set = self.made_of();
        let Some(known) = set.sha256 else { return Ok(None) };
        let check = |&(file, expected): &(&str, &str)| {
            let path = spelling::find(dir, file, set.format.below());
            let sha256 = path.as_deref().map(hash).transpose()?;
            let canonical = sha256.as_deref() == Some(expected);
            Ok(FileCheck { file: file.to_owned(), path, sha256, canonical })
        };
        known.iter().map(check).collect::<Result<_>>().map(Some)
    }
}

/// Another data set whose published file this is, although it has the name of one of `set`'s.
/// `sha256` is only called if there is such a file with as many images.
pub(crate) fn other_set(
    set: &Descriptor,
    file: &str,
    count: usize,
    sha256: impl FnOnce() -> String,
) -> Option<Source> {
    let others = Source::all().filter(|other| other.name != set.name);
    let known =
        others.flat_map(|other| other.sha256.unwrap_or_default().iter().map(move |known| (other, known)));
    let is_like = |other: Source| Split::ALL.iter().any(|&split| other.count(split) == Some(count));
    let known: Vec<_> = known.filter(|(other, (name, _))| *name == file && is_like(*other)).collect();
    if known.is_empty() {
        return None;
    }
    let sha256 = sha256();
    known.into_iter().find(|(_, (_, hash))| *hash == sha256).map(|(other, _)| other)
}

fn hash(path: &Path) -> Result<String> {
    let mut content = Content::open(path)?;
    let mut hash = gan_files::Sha256::new();
    // The limit is necessary because a small file can inflate to any length. A longer file is none
    // of the published ones.
    for _ in 0..MAX_BYTES / CHUNK {
        let bytes = content.read(CHUNK)?;
        if bytes.is_empty() {
            break;
        }
        hash.update(&bytes);
    }
    Ok(hash.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_another_data_set_are_recognised() {
        let other = |name: &str, file, count, hash: &str| {
            let set: Source = name.parse().unwrap();
            other_set(&set, file, count, || hash.to_owned()).map(|other| other.name)
        };
        let [(train, hash), .., (_, labels)] = Source::MNIST.sha256.unwrap() else { panic!() };
        let [(_, clothes), ..] = "fashion-mnist".parse::<Source>().unwrap().sha256.unwrap() else { panic!() };
        for name in ["mnist", "kmnist"] {
            assert_eq!(other(name, train, 60_000, clothes), Some("fashion-mnist"));
        }
        for name in ["fashion-mnist", "kmnist"] {
            assert_eq!(other(name, train, 60_000, hash), Some("mnist"));
            assert_eq!(other(name, train, 60_000, labels), None);
            assert_eq!(other(name, "t10k-images-idx3-ubyte", 60_000, hash), None);
        }
        // The files of QMNIST have names of their own.
        assert_eq!(other("qmnist", "qmnist-train-images-idx3-ubyte", 60_000, hash), None);
        assert_eq!(other("mnist", train, 60_000, hash), None);
        let set: Source = "kmnist".parse().unwrap();
        assert_eq!(other_set(&set, train, 59_999, || panic!("not hashed")), None);
    }
}
