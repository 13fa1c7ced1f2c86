//! Resizes square images to the size that a model needs.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use rayon::prelude::*;

use crate::{DataError, Result};

const MAX_SIZE: usize = 4096;

/// Resizes `pixels: [planes, from, from]` to `[planes, to, to]`. A plane is one channel of one
/// image. Each channel is resized separately, so gray and RGB images need no different code.
///
/// # Errors
///
/// If `to` is out of range, or the result is too large for the address range.
pub(crate) fn planes(pixels: Vec<u8>, from: usize, to: usize) -> Result<Vec<u8>> {
    check_size(to)?;
    if from == to {
        return Ok(pixels);
    }
    let count = pixels.len() / (from * from);
    let Some(length) = count.checked_mul(to * to).filter(|&length| isize::try_from(length).is_ok()) else {
        return Err(too_large(count, to));
    };
    let mut resized = vec![0; length];
    let sources = pixels.par_chunks_exact(from * from);
    sources.zip(resized.par_chunks_exact_mut(to * to)).try_for_each(|(source, target)| {
        if (from, to) == (28, 32) {
            pad(source, from, target, to);
            return Ok::<_, DataError>(());
        }
        // The sides are at most 4096. This function and `Dataset::new` have checked that.
        let source: Option<ImageBuffer<Luma<u8>, &[u8]>> =
            ImageBuffer::from_raw(from as u32, from as u32, source);
        let source = source.ok_or_else(|| too_large(count, to))?;
        target.copy_from_slice(&imageops::resize(&source, to as u32, to as u32, FilterType::Triangle));
        Ok(())
    })?;
    Ok(resized)
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

/// Copies `source` to the centre of `target`, which contains zeros.
fn pad(source: &[u8], from: usize, target: &mut [u8], to: usize) {
    let margin = (to - from) / 2;
    for (row, line) in source.chunks_exact(from).enumerate() {
        target[(row + margin) * to + margin..][..from].copy_from_slice(line);
    }
}

fn too_large(count: usize, to: usize) -> DataError {
    DataError::Value {
        field: "size",
        expected: "images that fit in memory".to_owned(),
        found: format!("{count} planes of {to}x{to}"),
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
    fn sizes_out_of_range_are_refused() {
        for size in [0, 4097] {
            let error = planes(vec![0; 4], 2, size).unwrap_err().to_string();
            assert_eq!(error, format!("size: expected 1..=4096, found {size}"));
        }
    }
}
