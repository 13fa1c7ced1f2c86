//! Upsampling, pooling, minibatch standard deviation and pixel norm.

use candle_core::{Result, Tensor};

/// Under the root of a deviation, as in the authors' programs.
const EPS: f64 = 1e-8;

/// Each pixel as 2x2 pixels, PyTorch's `nn.Upsample(scale_factor=2)`. `x: [B, C, H, W]`; returns `[B, C, 2H, 2W]`.
///
/// By broadcasting, since candle's own operation loses gradients.
///
/// # Errors
/// Another rank.
pub fn upsample(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let doubled = x.reshape((b * c, h, 1, w, 1))?.broadcast_as((b * c, h, 2, w, 2))?;
    doubled.reshape((b, c, 2 * h, 2 * w))
}

/// The mean of each 2x2 pixels, PyTorch's `nn.AvgPool2d(2)`. `x: [B, C, H, W]`; returns `[B, C, H / 2, W / 2]`.
///
/// # Errors
/// Another rank; an odd size.
pub fn average_pool(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    if !h.is_multiple_of(2) || !w.is_multiple_of(2) {
        candle_core::bail!("pooling of 2x2 needs even sizes, found {h}x{w}")
    }
    x.reshape((b * c, h / 2, 2, w / 2, 2))?.mean(4)?.mean(2)?.reshape((b, c, h / 2, w / 2))
}

/// Appends minibatch standard deviation as one more channel; see [`crate::fused::Maps::with_deviation`].
/// `x: [B, C, ...]`; returns `[B, C + 1, ...]`.
///
/// # Errors
/// A scalar or a vector.
pub fn minibatch_std(x: &Tensor, group: usize) -> Result<Tensor> {
    let batch = x.dim(0)?;
    let members = members(batch, group);
    let groups = batch / members;
    let values = x.flatten_from(1)?.reshape((members, groups, ()))?;
    let centred = values.broadcast_sub(&values.mean_keepdim(0)?)?;
    let deviation = (centred.sqr()?.mean(0)? + EPS)?.sqrt()?.mean(1)?;
    let mut shape = x.dims().to_vec();
    shape[1] = 1;
    let ones: Vec<usize> = (0..shape.len()).map(|i| if i == 0 { batch } else { 1 }).collect();
    let of_samples = deviation.unsqueeze(0)?.broadcast_as((members, groups))?.reshape(ones)?;
    Tensor::cat(&[x, &of_samples.broadcast_as(shape)?.contiguous()?], 1)
}

/// Under the root of pixel norm, as in the authors' program.
pub(crate) const PIXEL_NORM_EPS: f64 = 1e-8;

/// Each pixel's channels divided by the root of their mean square, `x / sqrt(mean over the channels of x^2 + 1e-8)` (Karras et
/// al. 2018, arXiv 1710.10196, section 4.2). `x: [B, C, ...]`; returns the same shape.
///
/// # Errors
/// A scalar or a vector.
pub fn pixel_norm(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.mean_keepdim(1)? + PIXEL_NORM_EPS)?.sqrt()?)
}

/// Samples of a group: at most `group`, and a divisor of the batch.
pub(crate) fn members(batch: usize, group: usize) -> usize {
    (1..=group.clamp(1, batch.max(1))).rev().find(|members| batch.is_multiple_of(*members)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::Maps;
    use crate::rng::Stream;
    use candle_core::{Device, Var};

    /// On the tape, in maps, and the way back.
    type Pair<'a> = (Tensor, Maps, &'a dyn Fn(&Maps) -> Result<Maps>);

    #[test]
    fn equal_to_the_maps_in_value_and_gradient() -> Result<()> {
        let x = Var::from_tensor(&Stream::new(0, "x", 0).normal((6, 2, 4, 6), &Device::Cpu)?)?;
        let maps = Maps::from_tensor(&x)?;
        let pairs: [Pair<'_>; 4] = [
            (upsample(&x)?, maps.enlarge(1.)?, &|g| g.reduce(1.)),
            (average_pool(&x)?, maps.reduce(0.25)?, &|g| g.enlarge(0.25)),
            (minibatch_std(&x, 4)?, maps.with_deviation(4), &|g| maps.deviation_gradient(g, 4)),
            (pixel_norm(&x)?, maps.pixel_norm(), &|g| maps.pixel_norm_gradient(g)),
        ];
        let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (on_tape, found, back) in pairs {
            let close = |a: Vec<f32>, b: Vec<f32>| {
                a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5)
            };
            assert!(close(values(&found.to_tensor()?), values(&on_tape)));
            let gradient = Stream::new(0, "gradient", 0).normal(on_tape.shape(), &Device::Cpu)?;
            let grads = (&on_tape * &gradient)?.sum_all()?.backward()?;
            let found = back(&Maps::from_tensor(&gradient)?)?;
            assert!(close(values(&found.to_tensor()?), values(grads.get(&x).unwrap())));
        }
        assert_eq!(minibatch_std(&x.flatten_from(1)?, 2)?.dims(), [6, 49]);
        assert!(average_pool(&x.narrow(2, 0, 1)?).is_err());
        assert!(maps.pixel_norm_gradient(&maps.enlarge(1.)?).is_err());
        Ok(())
    }
}
