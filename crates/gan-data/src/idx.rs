//! Reads and writes the IDX format of MNIST, raw or gzip. A file is a big-endian header of magic
//! number and dimensions, and then bytes.
//!
//! Headers are checked before they are used. The descriptors in `sources/` say what the bytes mean
//! (28x28 digits, ten classes).

use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use gan_files::{AtomicFile, FileError};

use crate::packed::{Content, MAX_BYTES};
use crate::{DataError, Result};

/// The first four bytes of an image file: unsigned bytes (08) in three dimensions (03).
pub(crate) const IMAGES_MAGIC: u32 = 0x0000_0803;
/// The first four bytes of a label file: unsigned bytes (08) in one dimension (01).
pub(crate) const LABELS_MAGIC: u32 = 0x0000_0801;
/// The first four bytes of a label file with several numbers for each image: signed integers of
/// four bytes (0c) in two dimensions (02). The first number is the class. QMNIST has such files.
pub(crate) const LABEL_TABLE_MAGIC: u32 = 0x0000_0c02;

/// Maximum side of an image. No data set in this format has wider images, so a larger number in a
/// header is damage.
const MAX_SIDE: u64 = 4096;

/// The content of an IDX image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Height of each image.
    pub rows: usize,
    /// Width of each image.
    pub cols: usize,
    /// `count * rows * cols` bytes, image by image, row by row.
    pub pixels: Vec<u8>,
}

/// Reads the image file `path`. Its first two bytes say whether it is raw or gzip.
///
/// # Errors
///
/// If the file cannot be read, is called `.gz` but is not gzip, or is not a complete IDX image
/// file. The last means a wrong magic number, an implausible header, missing or trailing bytes, or
/// a gzip stream that is cut off or corrupt.
pub fn read_images(path: impl AsRef<Path>) -> Result<IdxImages> {
    open_images(path.as_ref())?.read()
}

/// Reads the label file `path`. Its first two bytes say whether it is raw or gzip. Every byte is
/// accepted as a label. If a file has several numbers for each image, the first is the label.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    open_labels(path.as_ref())?.read()
}

/// Parses the bytes of an image file, raw or gzip. Errors use `source` as the file's name.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn parse_images(bytes: &[u8], source: &Path) -> Result<IdxImages> {
    UnreadImages::of(Content::of(bytes, source)?)?.read()
}

/// Parses the bytes of a label file, raw or gzip. Errors use `source` as the file's name.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn parse_labels(bytes: &[u8], source: &Path) -> Result<Vec<u8>> {
    UnreadLabels::of(Content::of(bytes, source)?)?.read()
}

/// Writes an image file as gzip, atomically. Equal images give equal bytes, because the file has no
/// time stamp.
///
/// # Errors
///
/// If the number of pixels does not match the dimensions, a dimension does not fit 32 bits, or the
/// file cannot be written.
pub fn write_images_gz(path: impl AsRef<Path>, images: &IdxImages) -> Result<()> {
    let dimensions = [images.count, images.rows, images.cols];
    write_gz(path.as_ref(), IMAGES_MAGIC, &dimensions, &images.pixels)
}

/// Writes a label file as gzip, atomically. Equal labels give equal bytes, because the file has no
/// time stamp.
///
/// # Errors
///
/// If the count does not fit 32 bits or the file cannot be written.
pub fn write_labels_gz(path: impl AsRef<Path>, labels: &[u8]) -> Result<()> {
    write_gz(path.as_ref(), LABELS_MAGIC, &[labels.len()], labels)
}

/// The uncompressed header of a file with this magic number and these dimensions. `None` if a
/// dimension does not fit 32 bits.
pub(crate) fn header(magic: u32, dimensions: &[usize]) -> Option<Vec<u8>> {
    let mut bytes = magic.to_be_bytes().to_vec();
    for &dimension in dimensions {
        bytes.extend(u32::try_from(dimension).ok()?.to_be_bytes());
    }
    Some(bytes)
}

/// An image file whose header was read.
pub(crate) struct UnreadImages<'a>(Unread<'a, 3>);

/// A label file whose header was read.
pub(crate) enum UnreadLabels<'a> {
    /// A byte for each image.
    Bytes(Unread<'a, 1>),
    /// Several integers for each image.
    Table(Unread<'a, 2>),
}

/// Opens an image file and reads its header.
///
/// # Errors
///
/// The same as for [`read_images`], except for those of the bytes after the header.
pub(crate) fn open_images(path: &Path) -> Result<UnreadImages<'_>> {
    UnreadImages::of(Content::open(path)?)
}

/// Opens a label file and reads its header.
///
/// # Errors
///
/// The same as for [`read_images`], except for those of the bytes after the header.
pub(crate) fn open_labels(path: &Path) -> Result<UnreadLabels<'_>> {
    UnreadLabels::of(Content::open(path)?)
}

impl<'a> UnreadImages<'a> {
    fn of(mut content: Content<'a>) -> Result<Self> {
        magic(&mut content, [IMAGES_MAGIC; 2], 16)?;
        Unread::of(content, ["count", "rows", "cols"], 1).map(Self)
    }

    /// Number, height and width of the images.
    pub(crate) fn dimensions(&self) -> [usize; 3] {
        self.0.dimensions
    }

    pub(crate) fn read(self) -> Result<IdxImages> {
        let [count, rows, cols] = self.dimensions();
        Ok(IdxImages { count, rows, cols, pixels: self.0.read()? })
    }
}

impl<'a> UnreadLabels<'a> {
    fn of(mut content: Content<'a>) -> Result<Self> {
        Ok(match magic(&mut content, [LABELS_MAGIC, LABEL_TABLE_MAGIC], 8)? {
            LABEL_TABLE_MAGIC => Self::Table(Unread::of(content, ["count", "cols"], 4)?),
            _ => Self::Bytes(Unread::of(content, ["count"], 1)?),
        })
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Bytes(labels) => labels.dimensions[0],
            Self::Table(table) => table.dimensions[0],
        }
    }

    pub(crate) fn read(self) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(labels) => labels.read(),
            Self::Table(table) => {
                let row = table.dimensions[1] * 4;
                let class = |row: &[u8]| match row {
                    &[0, 0, 0, class, ..] => class,
                    // No data set has so many classes, so this is refused as a label.
                    _ => u8::MAX,
                };
                Ok(table.read()?.chunks_exact(row).map(class).collect())
            }
        }
    }
}

/// The rest of a file whose header was read.
pub(crate) struct Unread<'a, const N: usize> {
    dimensions: [usize; N],
    /// Number of bytes of the header, and after it.
    lengths: [u64; 2],
    content: Content<'a>,
}

impl<'a, const N: usize> Unread<'a, N> {
    /// Reads the dimensions, which follow the magic number. A value has `width` bytes.
    fn of(mut content: Content<'a>, fields: [&'static str; N], width: u64) -> Result<Self> {
        let path = content.path();
        let expected = 4 * (N as u64 + 1);
        let header = content.read(expected - 4)?;
        let dimensions: Vec<u64> = header.chunks_exact(4).map(|bytes| word(bytes).into()).collect();
        let Ok(dimensions) = <[u64; N]>::try_from(dimensions) else {
            let found = 4 + header.len() as u64;
            return Err(DataError::Truncated { path: path.to_owned(), expected, found });
        };
        let length = payload_length(dimensions, fields, width, path)?;
        let dimensions = dimensions.map(|dimension| dimension as usize);
        Ok(Self { dimensions, lengths: [expected, length], content })
    }

    fn read(mut self) -> Result<Vec<u8>> {
        let path = self.content.path().to_owned();
        let [header, length] = self.lengths;
        // One byte more than announced is enough to detect a file that is too long, whatever it
        // inflates to.
        let payload = self.content.read(length + 1)?;
        let (expected, found) = (header + length, header + payload.len() as u64);
        match found.cmp(&expected) {
            Ordering::Less => Err(DataError::Truncated { path, expected, found }),
            Ordering::Greater => Err(DataError::Trailing { path, expected }),
            Ordering::Equal => Ok(payload),
        }
    }
}

/// Reads the magic number, which must be one of two. It is checked before the length of the
/// `header`, because a wrong kind of file is a more helpful error than a wrong length.
fn magic(content: &mut Content<'_>, accepted: [u32; 2], header: u64) -> Result<u32> {
    let path = content.path().to_owned();
    let bytes = content.read(4)?;
    if bytes.len() < 4 {
        return Err(DataError::Truncated { path, expected: header, found: bytes.len() as u64 });
    }
    let found = word(&bytes);
    if !accepted.contains(&found) {
        return Err(DataError::Magic { path, expected: accepted[0], found });
    }
    Ok(found)
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn payload_length<const N: usize>(
    dimensions: [u64; N],
    fields: [&'static str; N],
    width: u64,
    path: &Path,
) -> Result<u64> {
    let implausible =
        |field, expected, found| DataError::Header { path: path.to_owned(), field, expected, found };
    let mut length = width;
    for (index, (dimension, field)) in dimensions.into_iter().zip(fields).enumerate() {
        if index == 0 && dimension == 0 {
            return Err(implausible(field, "at least 1", dimension));
        }
        if index > 0 && !(1..=MAX_SIDE).contains(&dimension) {
            return Err(implausible(field, "1..=4096", dimension));
        }
        length = length.saturating_mul(dimension);
    }
    if length > MAX_BYTES || usize::try_from(length).is_err() {
        return Err(implausible("count * rows * cols", "at most 4294967296", length));
    }
    Ok(length)
}

fn write_gz(path: &Path, magic: u32, dimensions: &[usize], payload: &[u8]) -> Result<()> {
    let length = dimensions.iter().try_fold(1_usize, |length, &dimension| length.checked_mul(dimension));
    let (Some(header), true) = (header(magic, dimensions), length == Some(payload.len())) else {
        return Err(DataError::Value {
            field: "IDX content",
            expected: format!("as many bytes as the dimensions {dimensions:?}, each of 32 bits, hold"),
            found: format!("{} bytes", payload.len()),
        });
    };
    let file = AtomicFile::create(path)?;
    // Without a time stamp, equal content gives equal files, so a file's hash can be committed.
    let mut gzip = GzBuilder::new().mtime(0).write(file, Compression::best());
    let written = gzip.write_all(&header).and_then(|()| gzip.write_all(payload)).and_then(|()| gzip.finish());
    Ok(written.map_err(|e| FileError::new(path, e))?.commit()?)
}

#[cfg(test)]
mod tests;
