//! Compares files with those that the authors of a data set published.

use std::path::{Path, PathBuf};

use crate::packed::{Content, MAX_BYTES};
use crate::{Result, Source, spelling};

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
            let path = spelling::find(dir, file, set.format.unpacked());
            let sha256 = path.as_deref().map(hash).transpose()?;
            let canonical = sha256.as_deref() == Some(expected);
            Ok(FileCheck { file: file.to_owned(), path, sha256, canonical })
        };
        known.iter().map(check).collect::<Result<_>>().map(Some)
    }
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
