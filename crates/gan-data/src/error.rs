//! The error type of this crate. An error says what was wrong, where, and what was expected.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::folder::BrokenPicture;

/// Number of broken pictures that an error names.
const NAMED: usize = 10;

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
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file could not be written. The previous file at its path is unchanged.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
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
        /// The expected magic number.
        expected: u32,
        /// The magic number in the file.
        found: u32,
    },
    /// An IDX header announces an implausible size. Nothing after it was read.
    #[error("{path}: the header announces {field} = {found}, expected {expected}")]
    Header {
        /// The file.
        path: PathBuf,
        /// The field, or the product of fields.
        field: &'static str,
        /// The accepted values.
        expected: &'static str,
        /// The value in the header.
        found: u64,
    },
    /// The images are well formed, but their size is not that of the data set.
    #[error(
        "{path}: expected images of {}x{} pixels, found {}x{}",
        .expected.0, .expected.1, .found.0, .found.1
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// Expected rows and columns.
        expected: (usize, usize),
        /// Rows and columns in the header.
        found: (usize, usize),
    },
    /// The content is shorter than its header announces.
    #[error("{path}: truncated: expected {expected} bytes, found {found}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Uncompressed length according to the header. It includes the header.
        expected: u64,
        /// Uncompressed length of the file.
        found: u64,
    },
    /// The content is longer than its header announces, or than the data set is.
    #[error("{path}: trailing bytes: expected {expected} bytes, found more")]
    Trailing {
        /// The file.
        path: PathBuf,
        /// Uncompressed length according to the header (header included), or that of the published
        /// file.
        expected: u64,
    },
    /// A gzip stream ends too early, because the download or copy did not finish.
    #[error("{path}: the gzip stream ends early, after {found} uncompressed bytes")]
    GzipEnds {
        /// The file.
        path: PathBuf,
        /// Number of uncompressed bytes before the end.
        found: u64,
    },
    /// A gzip stream is damaged: bad header, bad block or wrong checksum.
    #[error("{path}: the gzip stream is corrupt")]
    GzipCorrupt {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        #[source]
        source: io::Error,
    },
    /// Something follows the end of a gzip stream that is neither another stream nor zeros.
    #[error("{path}: {} after the end of the compressed data", bytes_of(*.found))]
    GzipFollowed {
        /// The file.
        path: PathBuf,
        /// Number of these bytes.
        found: u64,
    },
    /// A file's name ends in `.gz`, but its content does not start like gzip.
    #[error("{path}: named .gz but not gzip: expected first bytes 1f 8b, found {found}")]
    NotGzip {
        /// The file.
        path: PathBuf,
        /// The first two bytes, in hexadecimal.
        found: String,
    },
    /// A file of the data set is missing in a directory.
    #[error("{dir}: expected one of {}, found none{}", .tried.join(", "), way_out(*.pictures))]
    MissingFile {
        /// The directory that was searched.
        dir: PathBuf,
        /// All spellings that were tried.
        tried: Vec<String>,
        /// Whether the directory contains pictures.
        pictures: bool,
    },
    /// A file is that of another data set, whose files have the same names, or of another split.
    #[error("{path}: expected {expected}, found {found}{}", in_its_place(*.set))]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What is in the published file that this is.
        found: String,
        /// The data set of the published file, if it is another one.
        set: Option<&'static str>,
    },
    /// Two files that belong together have different numbers of entries.
    #[error("{images} holds {image_count} images but {labels} holds {label_count} labels")]
    Counts {
        /// The image file.
        images: PathBuf,
        /// Number of images in it.
        image_count: usize,
        /// The label file.
        labels: PathBuf,
        /// Number of labels in it.
        label_count: usize,
    },
    /// A label is not a class of the data set.
    #[error("{path}: {what} {index}: expected {expected:?}, found {found}")]
    Label {
        /// The file.
        path: PathBuf,
        /// The kind of label, since an image may have several.
        what: &'static str,
        /// Position of the label, from 0.
        index: usize,
        /// The valid labels in this file.
        expected: RangeInclusive<usize>,
        /// The value of the label.
        found: u8,
    },
    /// A file of images in records of equal length is empty, or ends within an image.
    #[error("{path}: expected a positive multiple of {record} bytes, one image each, found {found} bytes")]
    Records {
        /// The file.
        path: PathBuf,
        /// Length of an image and its labels in bytes.
        record: u64,
        /// Uncompressed length of the file.
        found: u64,
    },
    /// A directory contains no images.
    #[error("{dir}: expected images ({extensions}) or MNIST's IDX files, found neither{others}")]
    NoImages {
        /// The directory. It was searched with all directories below it.
        dir: PathBuf,
        /// The extensions that were searched for.
        extensions: String,
        /// The other files there, in parentheses. Empty if there are none.
        others: String,
    },
    /// A zip archive cannot be read.
    #[error("{path}: is no zip archive, or a damaged one ({problem})")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of labels does not fit the pictures.
    #[error("{path}: {problem}")]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Pictures of a folder cannot be used.
    #[error("{dir}: {} of {of} pictures cannot be used: {}", .broken.len(), first_of(.dir, .broken))]
    Pictures {
        /// The directory.
        dir: PathBuf,
        /// All these pictures by path.
        broken: Vec<BrokenPicture>,
        /// Number of pictures in the directory.
        of: usize,
    },
    /// A file was given where a directory is expected.
    #[error("{path}: expected a directory, found a file")]
    NotDirectory {
        /// The file.
        path: PathBuf,
    },
    /// A file of a data set is a pipe, a device or the like. It was not opened.
    #[error("{path}: not a regular file")]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The hub could not be reached, or it did not deliver the data set.
    #[error(
        "cannot load {name} from the hub ({cause}): point --data-dir at its IDX files or use the \
         embedded mnist-5k"
    )]
    Hub {
        /// The data set.
        name: &'static str,
        /// The cause, in one short line.
        cause: String,
    },
    /// The data set must be downloaded, and this build cannot do that.
    #[error(
        "cannot load {name}: this build has no hub support (gan-cli built with feature `hub` has it: \
         `cargo install --locked --path crates/gan-cli`); point --data-dir at its IDX files or use the embedded \
         mnist-5k"
    )]
    NoHub {
        /// The data set.
        name: &'static str,
    },
    /// This build does not contain the digits.
    #[error(
        "cannot load mnist-5k: this build lacks feature `embedded`; point --data-dir at MNIST's IDX \
         files instead"
    )]
    NotEmbedded,
    /// The data set has no splits, so only [`Split::Train`](crate::Split::Train) exists.
    #[error("{name} has no test split: expected the split train, found test")]
    NoSplit {
        /// The data set.
        name: String,
    },
    /// A data set that exists only in files has no directory.
    #[error(
        "data.dir: expected a directory for name = \"{name}\", found none: give --data-dir or set data.dir"
    )]
    MissingDir {
        /// The data set.
        name: &'static str,
    },
    /// A setting, or the shape of a tensor, is not valid.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The setting or argument.
        field: &'static str,
        /// The accepted values.
        expected: String,
        /// The given value.
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

/// How to train on the data set that was found.
fn in_its_place(set: Option<&str>) -> String {
    set.map(|set| format!("; to use it: --data {set}, data.name = \"{set}\"")).unwrap_or_default()
}

/// What to do about a missing file.
fn way_out(pictures: bool) -> &'static str {
    if pictures {
        "; the directory contains pictures: --config dcgan-64 trains on them (data.name = \"folder\")"
    } else {
        " (--data-dir, data.dir or GAN_DATA_DIR names the directory)"
    }
}

/// Names the first ten pictures, with what is wrong with each.
fn first_of(dir: &Path, broken: &[BrokenPicture]) -> String {
    let name = |picture: &BrokenPicture| {
        let path = picture.path.strip_prefix(dir).unwrap_or(&picture.path);
        format!("{}: {}", path.display(), picture.problem)
    };
    let mut named: Vec<_> = broken.iter().take(NAMED).map(name).collect();
    if broken.len() > NAMED {
        named.push(format!("and {} more", broken.len() - NAMED));
    }
    named.join("; ")
}

/// A number of bytes in words.
fn bytes_of(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

fn kind_of(magic: u32) -> &'static str {
    match magic {
        crate::idx::IMAGES_MAGIC => "an IDX image file",
        crate::idx::LABELS_MAGIC | crate::idx::LABEL_TABLE_MAGIC => "an IDX label file",
        _ => "no IDX file of bytes",
    }
}
