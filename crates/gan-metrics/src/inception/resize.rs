//! The images as the network takes them: 299x299 pixels, three channels, and numbers on the
//! network's scale.

use crate::{MetricsError, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

pub(super) const SIDE: usize = 299;

/// How images are made ready for the network. The FID depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preprocessing {
    /// The preparation of the Python package `pytorch-fid`. Images are resized as PyTorch's
    /// `functional.interpolate(mode="bilinear", align_corners=False)` does it: the borders of both
    /// images agree. Black is -1 and white is 1.
    #[default]
    PytorchFid,
    /// The preparation inside the original TensorFlow graph, which `torch-fidelity` repeats.
    /// Images are resized as `tf.image.resize_bilinear` of TensorFlow 1 does it with
    /// `align_corners=False`: the first pixels of both images agree, so that the image is shifted
    /// by a part of a pixel. A gray value `v` from 0 to 255 becomes `(v - 128) / 128`.
    Tensorflow,
}

/// Where a row or column of the result comes from: two rows or columns of the image, and the
/// weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Source {
    first: usize,
    second: usize,
    share: f32,
}

impl Preprocessing {
    /// The sources of all rows or columns, for an image of this length.
    fn sources(self, length: usize) -> Vec<Source> {
        // The position is computed in f32, as in both programs.
        let scale = length as f32 / SIDE as f32;
        let source = |at: usize| {
            let position = match self {
                Self::PytorchFid => (scale * (at as f32 + 0.5) - 0.5).max(0.),
                Self::Tensorflow => at as f32 * scale,
            };
            let first = (position as usize).min(length - 1);
            Source { first, second: (first + 1).min(length - 1), share: position - first as f32 }
        };
        (0..SIDE).map(source).collect()
    }

    /// Factor and summand for numbers in [-1, 1].
    fn scale(self) -> [f32; 2] {
        match self {
            Self::PytorchFid => [1., 0.],
            Self::Tensorflow => [127.5 / 128., -0.5 / 128.],
        }
    }
}

/// Prepares `images: [N, 3, H, W]` or `[N, 1, H, W]` in [-1, 1], f32 on the CPU. Returns
/// `[N, 3, 299, 299]`.
///
/// # Errors
/// Numbers that are not in [-1, 1].
pub(super) fn prepare(images: &Tensor, [height, width]: [usize; 2], as_in: Preprocessing) -> Result<Tensor> {
    let (count, channels) = (images.dim(0)?, images.dim(1)?);
    let values = images.flatten_all()?.to_vec1::<f32>()?;
    // Rounding can put the result of a network slightly outside.
    if let Some(value) = values.iter().find(|value| value.is_nan() || value.abs() > 1.001) {
        return Err(MetricsError::input("images", "numbers in [-1, 1]", value));
    }
    let (rows, columns) = (as_in.sources(height), as_in.sources(width));
    let [factor, summand] = as_in.scale();
    let mut prepared = vec![0f32; count * 3 * SIDE * SIDE];
    prepared.par_chunks_mut(SIDE * SIDE).enumerate().for_each(|(plane, out)| {
        // A gray image has one plane for all three channels.
        let plane = plane / 3 * channels + plane % 3 % channels;
        let image = &values[plane * height * width..][..height * width];
        for (out, row) in out.chunks_exact_mut(SIDE).zip(&rows) {
            let [above, below] = [row.first, row.second].map(|y| &image[y * width..][..width]);
            for (out, column) in out.iter_mut().zip(&columns) {
                let between = |row: &[f32]| {
                    let (first, second) = (row[column.first], row[column.second]);
                    first * (1. - column.share) + second * column.share
                };
                let value = between(above) * (1. - row.share) + between(below) * row.share;
                *out = value * factor + summand;
            }
        }
    });
    Ok(Tensor::from_vec(prepared, (count, 3, SIDE, SIDE), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Preprocessing::{PytorchFid, Tensorflow};

    fn row(of: &Tensor, channel: usize) -> Vec<f32> {
        of.get(0).unwrap().get(channel).unwrap().get(7).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn an_image_of_the_right_size_stays() -> Result<()> {
        let values: Vec<f32> = (0..3 * SIDE * SIDE).map(|i| (i % 1001) as f32 / 500. - 1.).collect();
        let image = Tensor::from_vec(values, (1, 3, SIDE, SIDE), &Device::Cpu)?;
        let same = prepare(&image, [SIDE, SIDE], PytorchFid)?;
        assert_eq!(row(&same, 2), row(&image, 2));
        let scaled = prepare(&image, [SIDE, SIDE], Tensorflow)?;
        for (found, value) in row(&scaled, 2).into_iter().zip(row(&image, 2)) {
            let gray = (value + 1.) * 127.5;
            assert!((found - (gray - 128.) / 128.).abs() < 1e-6);
        }
        Ok(())
    }

    #[test]
    fn the_two_ways_put_the_pixels_at_other_places() {
        // 299 = 13 * 23: each pixel becomes 13.
        let (pytorch, tensorflow) = (PytorchFid.sources(23), Tensorflow.sources(23));
        let position = |source: Source| source.first as f32 + source.share;
        for (found, expected) in [
            (tensorflow[13], 1.),
            (tensorflow[298], 298. / 13.),
            // The middle of the first pixel.
            (pytorch[6], 0.),
            (pytorch[0], 0.),
            (pytorch[149], 11.),
            (pytorch[298], 22.5 - 0.5 / 13.),
        ] {
            assert!((position(found) - expected).abs() < 1e-5, "{found:?}, not {expected}");
        }
        for sources in [pytorch, tensorflow] {
            let last = sources[298];
            assert_eq!((last.first, last.second), (22, 22));
            assert!(sources.iter().all(|s| (0. ..=1.).contains(&s.share)));
        }
        assert!(PytorchFid.sources(1).iter().chain(&Tensorflow.sources(1)).all(|s| s.second == 0));
    }

    #[test]
    fn gray_is_three_equal_channels() -> Result<()> {
        let image = Tensor::new(&[[[[-1f32, 1.], [0.5, 0.]]], [[[0., 0.], [0., 1.]]]], &Device::Cpu)?;
        let gray = prepare(&image, [2, 2], PytorchFid)?;
        let repeated = prepare(&image.repeat((1, 3, 1, 1))?, [2, 2], PytorchFid)?;
        assert_eq!(gray.dims(), [2, 3, SIDE, SIDE]);
        assert!((gray - repeated)?.abs()?.max_all()?.to_scalar::<f32>()? == 0.);
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_refused() -> Result<()> {
        for value in [f32::NAN, 1.01, -255.] {
            let image = Tensor::full(value, (1, 1, 2, 2), &Device::Cpu)?;
            let message = prepare(&image, [2, 2], PytorchFid).unwrap_err().to_string();
            assert!(message.starts_with("images: expected numbers in [-1, 1], found "), "{message}");
        }
        Ok(())
    }
}
