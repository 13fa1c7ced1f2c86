//! MNIST and data sets in its shape: four named IDX files in a directory, and the digits inside this crate.

use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, Result, idx};

const SIDE: usize = 28;
const CLASSES: u8 = 10;

/// A data set of four IDX files. The files are named alike, so the directory must say which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Handwritten digits.
    Mnist,
    /// Pictures of clothes, in the same format (arXiv 1708.07747).
    FashionMnist,
}

impl Name {
    /// The name in a configuration: `mnist` or `fashion-mnist`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }
}

/// The part of a data set to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// 60,000 images.
    Train,
    /// 10,000 images, called `t10k` in the file names.
    Test,
}

impl Split {
    /// `train` or `test`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }
}

/// One of the four files of MNIST, compared with the original.
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

/// Reads a split from `dir`: 28x28 gray images with labels. Each file may be spelled `train-images-idx3-ubyte` or
/// `train-images.idx3-ubyte` and be raw or `.gz`; raw files are preferred.
///
/// # Errors
///
/// If a file is missing or broken (see [`idx::read_images`]), images are not 28x28, a label is above 9, or there
/// are not as many labels as images.
pub fn load_dir(dir: impl AsRef<Path>, name: Name, split: Split) -> Result<Dataset> {
    let dir = dir.as_ref();
    let images_path = require(dir, Part::Images, split)?;
    let labels_path = require(dir, Part::Labels, split)?;
    let images = idx::read_images(&images_path)?;
    let labels = idx::read_labels(&labels_path)?;
    let source = images_path.display().to_string();
    combine(name.as_str(), source, images, &images_path, labels, &labels_path)
}

/// Compares the four files in `dir` with the original MNIST, by SHA-256 of the uncompressed bytes. Missing files
/// are reported, not errors.
///
/// # Errors
///
/// If a file that is there cannot be read as IDX (see [`idx::read_images`]).
pub fn canonical(dir: impl AsRef<Path>) -> Result<Vec<FileCheck>> {
    let dir = dir.as_ref();
    // Computed from the files first published by LeCun, Cortes and Burges, after gunzip.
    let originals = [
        (Split::Train, Part::Images, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (Split::Train, Part::Labels, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        (Split::Test, Part::Images, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        (Split::Test, Part::Labels, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ];
    let check = |(split, part, expected): (Split, Part, &str)| {
        let path = find(dir, part, split);
        let sha256 = path.as_deref().map(|path| part.sha256(path)).transpose()?;
        let canonical = sha256.as_deref() == Some(expected);
        Ok(FileCheck { file: part.spellings(split)[0].clone(), path, sha256, canonical })
    };
    originals.into_iter().map(check).collect()
}

/// The 5,000 digits inside this crate: 500 of each class from MNIST's training set, sorted by class, 28x28 gray.
///
/// # Errors
///
/// If the crate was built from damaged assets.
#[cfg(feature = "embedded")]
pub fn mnist_5k() -> Result<Dataset> {
    let images_path = Path::new("assets/mnist-5k-images-idx3-ubyte.gz");
    let labels_path = Path::new("assets/mnist-5k-labels-idx1-ubyte.gz");
    let images = idx::parse_images(include_bytes!("../assets/mnist-5k-images-idx3-ubyte.gz"), images_path)?;
    let labels = idx::parse_labels(include_bytes!("../assets/mnist-5k-labels-idx1-ubyte.gz"), labels_path)?;
    let source = "embedded in gan-data: 500 training digits of each class".to_owned();
    combine("mnist-5k", source, images, images_path, labels, labels_path)
}

/// Whether `dir` holds MNIST's images of this split, in any spelling.
pub(crate) fn holds(dir: &Path, split: Split) -> bool {
    find(dir, Part::Images, split).is_some()
}

#[derive(Clone, Copy)]
enum Part {
    Images,
    Labels,
}

impl Part {
    /// The file names to look for, best first.
    fn spellings(self, split: Split) -> [String; 4] {
        let (part, kind) = match self {
            Self::Images => ("images", "idx3-ubyte"),
            Self::Labels => ("labels", "idx1-ubyte"),
        };
        let prefix = split.prefix();
        // The dot appears where an unpacker took `-idx3-ubyte` for an extension.
        [("-", ""), (".", ""), ("-", ".gz"), (".", ".gz")]
            .map(|(separator, end)| format!("{prefix}-{part}{separator}{kind}{end}"))
    }

    fn sha256(self, path: &Path) -> Result<String> {
        let (header, payload) = match self {
            Self::Images => {
                let images = idx::read_images(path)?;
                (idx::header(idx::IMAGES_MAGIC, &[images.count, images.rows, images.cols]), images.pixels)
            }
            Self::Labels => {
                let labels = idx::read_labels(path)?;
                (idx::header(idx::LABELS_MAGIC, &[labels.len()]), labels)
            }
        };
        // What was read had a header, so there is one; hashing the parts spares a copy of the whole.
        Ok(gan_files::sha256(&[&header.unwrap_or_default(), &payload]))
    }
}

fn require(dir: &Path, part: Part, split: Split) -> Result<PathBuf> {
    find(dir, part, split)
        .ok_or_else(|| DataError::MissingFile { dir: dir.to_owned(), tried: part.spellings(split).to_vec() })
}

fn find(dir: &Path, part: Part, split: Split) -> Option<PathBuf> {
    // Some archives unpack to a directory of the file's name, which is not the file.
    part.spellings(split).into_iter().map(|file| dir.join(file)).find(|path| path.is_file())
}

fn combine(
    name: &str,
    source: String,
    images: idx::IdxImages,
    images_path: &Path,
    labels: Vec<u8>,
    labels_path: &Path,
) -> Result<Dataset> {
    let found = (images.rows, images.cols);
    if found != (SIDE, SIDE) {
        return Err(DataError::Dimensions { path: images_path.to_owned(), expected: (SIDE, SIDE), found });
    }
    if images.count != labels.len() {
        return Err(DataError::Counts {
            images: images_path.to_owned(),
            image_count: images.count,
            labels: labels_path.to_owned(),
            label_count: labels.len(),
        });
    }
    if let Some((index, &found)) = labels.iter().enumerate().find(|&(_, &label)| label >= CLASSES) {
        return Err(DataError::Label { path: labels_path.to_owned(), index, found });
    }
    Dataset::new(name, source, images.pixels, 1, SIDE, Some(labels))
}

#[cfg(test)]
mod tests;
