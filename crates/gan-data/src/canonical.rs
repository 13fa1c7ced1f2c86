//! Whether files are those that a data set was published as.

use std::path::{Path, PathBuf};

use crate::packed::{Content, MAX_BYTES};
use crate::{Result, Source, spelling};

/// Bytes that are hashed at once.
const CHUNK: u64 = 1 << 20;

/// A file of a data set, compared with the one that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The original's name, such as `train-images-idx3-ubyte`.
    pub file: String,
    /// Where it was found, in whatever spelling; `None` if it is missing.
    pub path: Option<PathBuf>,
    /// SHA-256 of the uncompressed bytes in hexadecimal; `None` if it is missing.
    pub sha256: Option<String>,
    /// Whether those are the bytes of the original.
    pub canonical: bool,
}

impl Source {
    /// Compares the files in `dir` with the published ones, by SHA-256 of the uncompressed bytes: those of the data set, or of
    /// what it is composed of ([`Source::made_of`]). Missing files are reported, not errors. None where no hash is known.
    ///
    /// # Errors
    ///
    /// If a file that is there cannot be read, or is damaged gzip.
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
    // What is longer is none of these files, and a small file can inflate to any length.
    for _ in 0..MAX_BYTES / CHUNK {
        let bytes = content.read(CHUNK)?;
        if bytes.is_empty() {
            break;
        }
        hash.update(&bytes);
    }
    Ok(hash.hex())
}
