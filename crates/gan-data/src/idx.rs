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
    images(Content::open(path.as_ref())?)
}

/// Reads the label file `path`. Its first two bytes say whether it is raw or gzip. Every byte is
/// accepted as a label.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    labels(Content::open(path.as_ref())?)
}

/// Parses the bytes of an image file, raw or gzip. Errors use `source` as the file's name.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn parse_images(bytes: &[u8], source: &Path) -> Result<IdxImages> {
    images(Content::of(bytes, source)?)
}

/// Parses the bytes of a label file, raw or gzip. Errors use `source` as the file's name.
///
/// # Errors
///
/// The same as for [`read_images`].
pub fn parse_labels(bytes: &[u8], source: &Path) -> Result<Vec<u8>> {
    labels(Content::of(bytes, source)?)
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

fn images(content: Content<'_>) -> Result<IdxImages> {
    let ([count, rows, cols], pixels) = decode(content, IMAGES_MAGIC, ["count", "rows", "cols"])?;
    Ok(IdxImages { count, rows, cols, pixels })
}

fn labels(content: Content<'_>) -> Result<Vec<u8>> {
    Ok(decode(content, LABELS_MAGIC, ["count"])?.1)
}

fn decode<const N: usize>(
    mut content: Content<'_>,
    magic: u32,
    fields: [&'static str; N],
) -> Result<([usize; N], Vec<u8>)> {
    let path = content.path();
    let truncated = |expected, found| DataError::Truncated { path: path.to_owned(), expected, found };
    let header_length = 4 * (N as u64 + 1);
    let header = content.read(header_length)?;
    let mut words =
        header.chunks_exact(4).map(|word| word.iter().fold(0, |n, &byte| n << 8 | u32::from(byte)));
    // The magic number is checked first, because a wrong kind of file is a more helpful error than
    // a wrong length.
    if let Some(found) = words.next().filter(|&found| found != magic) {
        return Err(DataError::Magic { path: path.to_owned(), expected: magic, found });
    }
    let dimensions: Vec<u64> = words.map(u64::from).collect();
    let Ok(dimensions) = <[u64; N]>::try_from(dimensions) else {
        return Err(truncated(header_length, header.len() as u64));
    };
    let length = payload_length(dimensions, fields, path)?;

    // One byte more than announced is enough to detect a file that is too long, whatever it
    // inflates to.
    let payload = content.read(length + 1)?;
    let (expected, found) = (header_length + length, header_length + payload.len() as u64);
    match found.cmp(&expected) {
        Ordering::Less => Err(truncated(expected, found)),
        Ordering::Greater => Err(DataError::Trailing { path: path.to_owned(), expected }),
        Ordering::Equal => Ok((dimensions.map(|dimension| dimension as usize), payload)),
    }
}

fn payload_length<const N: usize>(
    dimensions: [u64; N],
    fields: [&'static str; N],
    path: &Path,
) -> Result<u64> {
    let implausible =
        |field, expected, found| DataError::Header { path: path.to_owned(), field, expected, found };
    let mut length = 1_u64;
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
