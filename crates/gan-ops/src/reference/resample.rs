//! Nearest-neighbour upsampling and average pooling.

use candle_core::{Result, Tensor};

/// Turns each pixel into 2x2 pixels, as PyTorch's `nn.Upsample(scale_factor=2)` does.
/// `x: [B, C, H, W]`; returns `[B, C, 2H, 2W]`.
///
/// It broadcasts the pixels, because candle's own upsampling loses gradients.
///
/// # Errors
/// Another rank.
pub fn upsample(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let doubled = x.reshape((b * c, h, 1, w, 1))?.broadcast_as((b * c, h, 2, w, 2))?;
    doubled.reshape((b, c, 2 * h, 2 * w))
}

/// Computes the mean of each square of 2x2 pixels, as PyTorch's `nn.AvgPool2d(2)` does.
/// `x: [B, C, H, W]`; returns `[B, C, H / 2, W / 2]`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::Maps;
    use crate::reference::{minibatch_std, pixel_norm};
    use crate::rng::Stream;
    use candle_core::{Device, Var};

    /// The result on the tape, the result in maps, and the function that computes the gradient in
    /// maps.
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
