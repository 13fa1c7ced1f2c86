//! Resizes square images to the size that a model needs.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use rayon::prelude::*;

use crate::{DataError, Result};

const MAX_SIZE: usize = 4096;
/// Maximum number of bytes of a data set in memory.
const MAX_BYTES: u64 = 4 << 30;

/// Resizes `pixels: [planes, from, from]` to `[planes, to, to]`. A plane is one channel of one
/// image. Each channel is resized separately, so gray and RGB images need no different code.
///
/// # Errors
///
/// If `to` is out of range, or the result has more than 4 GiB.
pub(crate) fn planes(pixels: Vec<u8>, from: usize, to: usize) -> Result<Vec<u8>> {
    check_size(to)?;
    if from == to {
        return Ok(pixels);
    }
    let count = pixels.len() / (from * from);
    let mut resized = vec![0; length(count, 1, to)?];
    let sources = pixels.par_chunks_exact(from * from);
    sources.zip(resized.par_chunks_exact_mut(to * to)).for_each(|(source, target)| {
        if (from, to) == (28, 32) {
            pad(source, from, target, to);
            return;
        }
        plane(source, from, target, to);
    });
    Ok(resized)
}

/// Resizes `source: [from, from]` into `target: [to, to]` with a triangle filter that is as wide as
/// the reduction. It gives the values of Pillow's `BILINEAR` or those beside them.
pub(crate) fn plane(source: &[u8], from: usize, target: &mut [u8], to: usize) {
    let buffer: Option<ImageBuffer<Luma<u8>, &[u8]>> =
        ImageBuffer::from_raw(from as u32, from as u32, source);
    match buffer.filter(|_| from != to) {
        Some(buffer) => {
            target.copy_from_slice(&imageops::resize(&buffer, to as u32, to as u32, FilterType::Triangle));
        }
        // A copy: `source` has the size of `target`.
        None => target.copy_from_slice(source),
    }
}

/// Refuses a size that no model here has.
///
/// # Errors
///
/// If `size` is not in `1..=4096`.
pub(crate) fn check_size(size: usize) -> Result<()> {
    if (1..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    Err(DataError::Value { field: "size", expected: format!("1..={MAX_SIZE}"), found: size.to_string() })
}

/// Number of bytes of `count` images `[channels, size, size]`.
///
/// # Errors
///
/// If these are more than 4 GiB.
pub(crate) fn length(count: usize, channels: usize, size: usize) -> Result<usize> {
    let length = count.checked_mul(channels * size * size).filter(|&length| length as u64 <= MAX_BYTES);
    length.ok_or_else(|| too_large(count, channels, size))
}

/// Copies `source` to the centre of `target`, which contains zeros.
fn pad(source: &[u8], from: usize, target: &mut [u8], to: usize) {
    let margin = (to - from) / 2;
    for (row, line) in source.chunks_exact(from).enumerate() {
        target[(row + margin) * to + margin..][..from].copy_from_slice(line);
    }
}

fn too_large(count: usize, channels: usize, size: usize) -> DataError {
    let gib = count as f64 * (channels * size * size) as f64 / (1_u64 << 30) as f64;
    DataError::Value {
        field: "size",
        expected: "data of at most 4 GiB in memory".to_owned(),
        found: format!("{count} images of {channels}x{size}x{size}, {gib:.2} GiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_size_changes_nothing() {
        let pixels: Vec<u8> = (0..=255).cycle().take(2 * 28 * 28).collect();
        assert_eq!(planes(pixels.clone(), 28, 28).unwrap(), pixels);
    }

    #[test]
    fn from_28_to_32_is_padding_alone() {
        let pixels: Vec<u8> = (1..=255).cycle().take(2 * 28 * 28).collect();
        let padded = planes(pixels.clone(), 28, 32).unwrap();
        for (index, &pixel) in padded.iter().enumerate() {
            let (plane, row, col) = (index / 1024, index / 32 % 32, index % 32);
            let inside = (2..30).contains(&row) && (2..30).contains(&col);
            // This is evaluated only inside, so the subtraction cannot wrap.
            let expected = if inside { pixels[plane * 784 + (row - 2) * 28 + col - 2] } else { 0 };
            assert_eq!(pixel, expected, "plane {plane}, row {row}, column {col}");
        }
    }

    #[test]
    fn other_sizes_are_interpolated_plane_by_plane() {
        let pixels: Vec<u8> = [vec![10; 28 * 28], vec![200; 28 * 28]].concat();
        let resized = planes(pixels, 28, 64).unwrap();
        assert_eq!(resized, [vec![10; 64 * 64], vec![200; 64 * 64]].concat());

        // A step edge stays monotonic, and both ends keep their values.
        let edge = planes([[0, 0, 240, 240]; 4].concat(), 4, 8).unwrap();
        assert_eq!((edge[0], edge[7]), (0, 240));
        assert!(edge[..8].is_sorted() && edge[3] > 0 && edge[4] < 240, "{:?}", &edge[..8]);
    }

    #[test]
    fn data_of_more_than_4_gib_are_refused() {
        assert_eq!(length(256, 1, 4096).unwrap(), 4 << 30);
        let error = planes(vec![0; 257 * 4], 2, 4096).unwrap_err().to_string();
        assert_eq!(
            error,
            "size: expected data of at most 4 GiB in memory, found 257 images of 1x4096x4096, 4.02 GiB"
        );
        assert!(length(usize::MAX, 3, 4096).is_err());
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for size in [0, 4097] {
            let error = planes(vec![0; 4], 2, size).unwrap_err().to_string();
            assert_eq!(error, format!("size: expected 1..=4096, found {size}"));
        }
    }
}
