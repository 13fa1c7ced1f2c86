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
    /// The published name, such as `train-images-idx3-ubyte`. If it ends in `.gz`, only the hash of the
    /// compressed file is known.
    pub file: String,
    /// Where the file was found, in any spelling of its name. `None` if it is missing.
    pub path: Option<PathBuf>,
    /// SHA-256 in hexadecimal: of the compressed bytes if [`file`](Self::file) ends in `.gz`, or else of the
    /// uncompressed ones. `None` if the file is missing, or is not compressed as the published one is.
    pub sha256: Option<String>,
    /// Whether these bytes are those of the published file.
    pub canonical: bool,
}

impl Source {
    /// Compares the files in `dir` with the published ones by SHA-256. A composed data set uses the
    /// files of the data set that it is made of ([`Source::made_of`]). A missing file is reported and is
    /// not an error. `None` if no hashes are known.
    ///
    /// # Errors
    ///
    /// If an existing file cannot be read, or is damaged gzip.
    pub fn check_files(self, dir: impl AsRef<Path>) -> Result<Option<Vec<FileCheck>>> {
        let dir = dir.as_ref();
        let set = self.made_of();
        let Some(known) = set.sha256 else { return Ok(None) };
        let check = |&(file, expected): &(&str, &str)| {
            let unpacked = file.strip_suffix(GZ);
            let path = spelling::find(dir, unpacked.unwrap_or(file), set.format.below());
            let comparable = path.as_deref().filter(|path| unpacked.is_none() || is_packed(path));
            let hash = if unpacked.is_some() { hash_packed } else { hash };
            let sha256 = comparable.map(hash).transpose()?;
            let canonical = sha256.as_deref() == Some(expected);
            Ok(FileCheck { file: file.to_owned(), path, sha256, canonical })
        };
        known.iter().map(check).collect::<Result<_>>().map(Some)
    }
}

/// The kind of an IDX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Images,
    Labels,
}

/// What a file with the name `file` is, if it is another published file: the data set that the
/// published file belongs to, and its split. `sha256` is only called if there is such a file with as
/// many images or labels.
pub(crate) fn other_file(
    set: &Descriptor,
    file: &str,
    kind: Kind,
    count: usize,
    sha256: impl FnOnce() -> String,
) -> Option<(Source, Split)> {
    let mut known = vec![];
    for other in Source::all() {
        let (Some(hashes), Some(files)) = (other.sha256, other.format.idx_files()) else { continue };
        // Only files of the same names are confused.
        if !files.names.as_flattened().contains(&file) {
            continue;
        }
        for (split, name) in Split::ALL.into_iter().zip(files.names.map(|names| names[kind as usize])) {
            let is_itself = other.name == set.name && name == file;
            let hash = hashes.iter().find(|(hashed, _)| *hashed == name);
            known.extend(
                hash.filter(|_| !is_itself && other.count(split) == Some(count))
                    .map(|(_, hash)| (*hash, other, split)),
            );
        }
    }
    if known.is_empty() {
        return None;
    }
    let sha256 = sha256();
    known.into_iter().find(|(hash, ..)| *hash == sha256).map(|(_, other, split)| (other, split))
}

const GZ: &str = ".gz";

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(&GZ[1..]))
}

fn hash_packed(path: &Path) -> Result<String> {
    // The largest published file has 18 MB.
    Ok(gan_files::sha256(&[&gan_files::read_at_most(path, 1 << 26)?]))
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
    use crate::idx_files::MNIST_NAMES;

    #[test]
    fn files_of_another_data_set_or_split_are_recognised() {
        let other = |name: &str, file, kind, count, hash: &str| {
            let set: Source = name.parse().unwrap();
            let found = other_file(&set, file, kind, count, || hash.to_owned());
            found.map(|(other, split)| (other.name, split))
        };
        let fashion: Source = "fashion-mnist".parse().unwrap();
        let [[train, train_labels], [test, _]] = MNIST_NAMES;
        for (name, set) in [("mnist", Source::MNIST), ("fashion-mnist", fashion)] {
            let [(_, images), (_, labels), (_, test_images), (_, test_labels)] = set.sha256.unwrap() else {
                panic!("{name}")
            };
            for given in ["mnist", "fashion-mnist", "kmnist"] {
                let unless_itself = |is| (given != name).then_some(is);
                let it = |file, kind, count, hash| other(given, file, kind, count, hash);
                let is_train = unless_itself((name, Split::Train));
                assert_eq!(it(train, Kind::Images, 60_000, images), is_train);
                assert_eq!(it(train_labels, Kind::Labels, 60_000, labels), is_train);
                assert_eq!(it(test, Kind::Images, 10_000, test_images), unless_itself((name, Split::Test)));
                // A file with the name of another split.
                assert_eq!(it(train, Kind::Images, 10_000, test_images), Some((name, Split::Test)));
                assert_eq!(it(train_labels, Kind::Labels, 10_000, test_labels), Some((name, Split::Test)));
                assert_eq!(it(test, Kind::Images, 60_000, images), Some((name, Split::Train)));
                assert_eq!(it(train, Kind::Images, 60_000, labels), None);
            }
            // The files of QMNIST have names of their own.
            assert_eq!(other("qmnist", "qmnist-train-images-idx3-ubyte", Kind::Images, 60_000, images), None);
        }
        let set: Source = "kmnist".parse().unwrap();
        assert_eq!(other_file(&set, train, Kind::Images, 59_999, || panic!("not hashed")), None);
    }
}
