//! The one error type of this crate: what was wrong, where, and what was expected instead.

use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A result whose error is a [`DataError`].
pub type Result<T> = std::result::Result<T, DataError>;

/// Why data could not be read, prepared or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read a file or directory.
    #[error("cannot read {path}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// A file could not be written; what stood at its place is unchanged.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The first four bytes are not those of the expected kind of IDX file.
    #[error(
        "{path}: expected {} (magic {expected:#010x}), found {} (magic {found:#010x})",
        kind_of(*.expected), kind_of(*.found)
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// The magic number asked for.
        expected: u32,
        /// The magic number read.
        found: u32,
    },
    /// An IDX header announces a size that is not believed, so nothing after it was read.
    #[error("{path}: the header announces {field} = {found}, expected {expected}")]
    Header {
        /// The file.
        path: PathBuf,
        /// The field, or the product of fields.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// What the header says.
        found: u64,
    },
    /// The images are well formed but not of the data set's size.
    #[error(
        "{path}: expected images of {}x{} pixels, found {}x{}",
        .expected.0, .expected.1, .found.0, .found.1
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// Rows and columns asked for.
        expected: (usize, usize),
        /// Rows and columns in the header.
        found: (usize, usize),
    },
    /// The content ends before what its header announces.
    #[error("{path}: truncated: expected {expected} bytes, found {found}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Uncompressed length by the header, header included.
        expected: u64,
        /// Uncompressed length found.
        found: u64,
    },
    /// The content goes on after what its header announces, or the data set has.
    #[error("{path}: trailing bytes: expected {expected} bytes, found more")]
    Trailing {
        /// The file.
        path: PathBuf,
        /// Uncompressed length by the header, header included, or that of the published file.
        expected: u64,
    },
    /// A gzip stream is cut off: the download or copy did not finish.
    #[error("{path}: the gzip stream ends early, after {found} uncompressed bytes")]
    GzipEnds {
        /// The file.
        path: PathBuf,
        /// Uncompressed bytes read before the end.
        found: u64,
    },
    /// A gzip stream is damaged: bad header, bad block or wrong checksum.
    #[error("{path}: the gzip stream is corrupt")]
    GzipCorrupt {
        /// The file.
        path: PathBuf,
        /// The decoder's word for it.
        #[source]
        source: io::Error,
    },
    /// A file is called `.gz` but does not start as gzip does.
    #[error("{path}: named .gz but not gzip: expected first bytes 1f 8b, found {found}")]
    NotGzip {
        /// The file.
        path: PathBuf,
        /// The first two bytes, in hexadecimal.
        found: String,
    },
    /// A directory lacks one of the data set's files.
    #[error("{dir}: expected one of {}, found none", .tried.join(", "))]
    MissingFile {
        /// The directory searched.
        dir: PathBuf,
        /// Every spelling looked for.
        tried: Vec<String>,
    },
    /// Two files that belong together have different lengths.
    #[error("{images} holds {image_count} images but {labels} holds {label_count} labels")]
    Counts {
        /// The image file.
        images: PathBuf,
        /// Images in it.
        image_count: usize,
        /// The label file.
        labels: PathBuf,
        /// Labels in it.
        label_count: usize,
    },
    /// A label is no class of the data set.
    #[error("{path}: {what} {index}: expected {expected:?}, found {found}")]
    Label {
        /// The file.
        path: PathBuf,
        /// Which of the labels that an image has.
        what: &'static str,
        /// Position of the label, from 0.
        index: usize,
        /// The labels that there are in the file.
        expected: RangeInclusive<usize>,
        /// Its value.
        found: u8,
    },
    /// A file of images in records of one length is empty, or ends within an image.
    #[error("{path}: expected a positive multiple of {record} bytes, one image each, found {found} bytes")]
    Records {
        /// The file.
        path: PathBuf,
        /// Bytes of an image and its labels.
        record: u64,
        /// Uncompressed length found.
        found: u64,
    },
    /// A directory holds nothing to learn from.
    #[error("{dir}: expected images ({extensions}) or MNIST's IDX files, found neither")]
    NoImages {
        /// The directory, searched with everything below it.
        dir: PathBuf,
        /// The extensions looked for.
        extensions: String,
    },
    /// An image file could not be decoded.
    #[error("cannot decode {path}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// The decoder's word for it.
        #[source]
        source: image::ImageError,
    },
    /// The hub could not be reached, or what came from it is not the data set.
    #[error(
        "cannot load {name} from the hub ({cause}): point --data-dir at its IDX files or use the embedded mnist-5k"
    )]
    Hub {
        /// The data set.
        name: &'static str,
        /// The cause, in one short line.
        cause: String,
    },
    /// The data set would have to be downloaded and this build cannot.
    #[error(
        "cannot load {name}: this build has no hub support (gan-cli built with feature `hub` has it: \
         `cargo install --path crates/gan-cli`); point --data-dir at its IDX files or use the embedded mnist-5k"
    )]
    NoHub {
        /// The data set.
        name: &'static str,
    },
    /// The digits were left out of this build.
    #[error(
        "cannot load mnist-5k: this build lacks feature `embedded`; point --data-dir at MNIST's IDX files instead"
    )]
    NotEmbedded,
    /// The data set is not divided, so only [`Split::Train`](crate::Split::Train) exists.
    #[error("{name} has no test split: expected the split train, found test")]
    NoSplit {
        /// The data set.
        name: String,
    },
    /// A data set that is in files alone, without a directory.
    #[error(
        "data.dir: expected a directory for name = \"{name}\", found none: give --data-dir or set data.dir"
    )]
    MissingDir {
        /// The data set.
        name: &'static str,
    },
    /// A setting, or the shape of a tensor, is not acceptable.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The setting or argument.
        field: &'static str,
        /// What is accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl From<gan_files::FileError> for DataError {
    fn from(gan_files::FileError { path, source }: gan_files::FileError) -> Self {
        Self::Write { path, source }
    }
}

fn kind_of(magic: u32) -> &'static str {
    match magic {
        crate::idx::IMAGES_MAGIC => "an IDX image file",
        crate::idx::LABELS_MAGIC => "an IDX label file",
        _ => "no IDX file of bytes",
    }
}
