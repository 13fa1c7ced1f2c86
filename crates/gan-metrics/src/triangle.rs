//! Resizing of images with a triangle filter (bilinear, with antialiasing), for networks that read
//! images of one size.

use crate::Result;
use candle_core::{Device, Tensor};

/// Resizes `images: [N, C, H, W]` to `[N, C, side, side]`. If the images become smaller, the filter
/// is wider, so that no pattern appears that was not there.
pub(crate) fn resize(images: &Tensor, side: usize) -> Result<Tensor> {
    let (count, channels, height, width) = images.dims4()?;
    if (height, width) == (side, side) {
        return Ok(images.clone());
    }
    let device = images.device();
    let rows =
        images.reshape((count * channels * height, width))?.matmul(&triangles(width, side, device)?)?;
    let columns = rows.reshape((count * channels, height, side))?.transpose(1, 2)?.contiguous()?;
    let both =
        columns.reshape((count * channels * side, height))?.matmul(&triangles(height, side, device)?)?;
    let upright = both.reshape((count * channels, side, side))?.transpose(1, 2)?.contiguous()?;
    Ok(upright.reshape((count, channels, side, side))?)
}

/// `[from, to]`: the weight of each old pixel for each new one. The weights for a new pixel add up
/// to 1.
fn triangles(from: usize, to: usize, device: &Device) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let radius = scale.max(1.);
    let mut weights = vec![0f64; from * to];
    for new in 0..to {
        let centre = (new as f64 + 0.5) * scale - 0.5;
        let of = |old: usize| (1. - (old as f64 - centre).abs() / radius).max(0.);
        let sum: f64 = (0..from).map(of).sum();
        for old in 0..from {
            weights[old * to + new] = of(old) / sum;
        }
    }
    let weights: Vec<f32> = weights.into_iter().map(|weight| weight as f32).collect();
    Ok(Tensor::from_vec(weights, (from, to), device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_reduced_without_new_patterns() -> Result<()> {
        // From 4 to 2 pixels, the weights are 3, 3, 1 of 7 and the mirror image.
        let weights = triangles(4, 2, &Device::Cpu)?.to_vec2::<f32>()?.concat();
        let expected = [3., 0., 3., 1., 1., 3., 0., 3.].map(|weight| weight / 7.);
        assert!(weights.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-6), "{weights:?}");
        // From 2 to 4 pixels it is linear between the old ones.
        let weights = triangles(2, 4, &Device::Cpu)?.to_vec2::<f32>()?;
        assert_eq!(weights, [[1., 0.75, 0.25, 0.], [0., 0.25, 0.75, 1.]]);
        let stripes: Vec<f32> = (0..256 * 256).map(|i| if i % 2 == 0 { 1. } else { -1. }).collect();
        let stripes = Tensor::from_vec(stripes, (1, 1, 256, 256), &Device::Cpu)?;
        let flat = resize(&stripes, 128)?.abs()?.mean_all()?.to_scalar::<f32>()?;
        assert!(flat < 0.01, "{flat}");
        // Rows and columns keep their places.
        let ramp = Tensor::arange(0f32, 64., &Device::Cpu)?.reshape((1, 1, 8, 8))?;
        let small = resize(&ramp, 4)?.flatten_all()?.to_vec1::<f32>()?;
        assert!(small[1] > small[0] && small[4] - small[0] > 2. * (small[1] - small[0]), "{small:?}");
        Ok(())
    }
}
