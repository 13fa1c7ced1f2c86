//! Makes images worse, more or less so.

use candle_core::{Device, Result, Tensor};
use gan_ops::rng::Stream;

/// Blurs `images: [N, C, H, W]` so many times with the weights 1/4, 1/2, 1/4 along each axis.
pub(crate) fn blurred(images: &Tensor, times: usize) -> Result<Tensor> {
    let (_, _, height, width) = images.dims4()?;
    let mut images = images.clone();
    for _ in 0..times {
        for (axis, length) in [(2, height), (3, width)] {
            let padded = images.pad_with_same(axis, 1, 1)?;
            let [before, here, after] = [0, 1, 2].map(|start| padded.narrow(axis, start, length));
            images = (((before? + after?)? * 0.25)? + (here? * 0.5)?)?;
        }
    }
    images.contiguous()
}

/// Adds noise with this standard deviation. The result stays in [-1, 1].
pub(crate) fn grainy(images: &Tensor, deviation: f64) -> Result<Tensor> {
    let noise = Stream::new(3, "grain", 0).normal(images.dims(), &Device::Cpu)?;
    (images + (noise * deviation)?)?.clamp(-1f32, 1f32)
}

/// Exchanges red and blue in the first images. `share` says in how many of them.
pub(crate) fn swapped(images: &Tensor, share: f64) -> Result<Tensor> {
    let (count, last) = (images.dim(0)?, images.index_select(&Tensor::new(&[2u32, 1, 0], &Device::Cpu)?, 1)?);
    let swapped = (share * count as f64) as usize;
    if swapped == count {
        return Ok(last);
    }
    Tensor::cat(&[last.narrow(0, 0, swapped)?, images.narrow(0, swapped, count - swapped)?], 0)
}
