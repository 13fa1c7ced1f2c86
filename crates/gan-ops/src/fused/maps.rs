//! A batch of maps in the order in which the kernels read them.

use crate::geometry::Image;
use crate::kernels::{self, Buffer, Isa};
use crate::slices;
use candle_core::{Device, Result, Tensor};
use std::sync::Arc;

/// The activations of a batch, that is, the values that one layer passes to the next. This project
/// calls them maps. In memory they are `[H][W][C][N]`, with N padded to whole vectors. A vector of
/// features is an image of one pixel. A clone shares the values.
#[derive(Debug, Clone)]
pub struct Maps {
    pub(crate) image: Image,
    pub(crate) batch: usize,
    pub(crate) values: Arc<Buffer>,
}

impl Maps {
    /// Copies `x: [N, F]` or `[N, C, H, W]`, f32 on the CPU.
    ///
    /// # Errors
    /// Another rank, type or device; an empty tensor.
    pub fn from_tensor(x: &Tensor) -> Result<Self> {
        let (batch, image) = match *x.dims() {
            [batch, channels] => (batch, Image { channels, height: 1, width: 1 }),
            [batch, channels, height, width] => (batch, Image { channels, height, width }),
            _ => candle_core::bail!("expected [N, F] or [N, C, H, W], found {:?}", x.dims()),
        };
        if x.elem_count() == 0 {
            candle_core::bail!("expected a batch that is not empty, found {:?}", x.dims())
        }
        let mut values = Buffer::new(image.len(batch));
        slices::read(&x.contiguous()?, |x| {
            kernels::from_nchw(Isa::best(), x, &mut values, [batch, image.channels, image.pixels()]);
        })?;
        Ok(Self::new(image, batch, values))
    }

    /// Copies the values to a tensor `[N, C, H, W]`.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Tensor::from_vec(self.to_vec(), self.dims(), &Device::Cpu)
    }

    /// The values in the order of [`Self::to_tensor`].
    pub(crate) fn to_vec(&self) -> Vec<f32> {
        let sizes = [self.batch, self.image.channels, self.image.pixels()];
        let mut values = vec![0.; sizes.iter().product()];
        kernels::to_nchw(Isa::best(), &self.values, &mut values, sizes);
        values
    }

    pub(crate) fn dims(&self) -> (usize, usize, usize, usize) {
        (self.batch, self.image.channels, self.image.height, self.image.width)
    }

    /// Returns the same values as images of another shape with the same number of elements. The
    /// order is the order of PyTorch's `view`: by channel, row and column. The call copies nothing
    /// unless the order in memory differs.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&self, [channels, height, width]: [usize; 3]) -> Result<Self> {
        let (from, to) = (self.image, Image { channels, height, width });
        let product = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        if product != Some(from.pixels() * from.channels) {
            candle_core::bail!("cannot view {:?} as {:?}", self.image(), [channels, height, width])
        }
        let in_order = |image: Image| image.channels == 1 || image.pixels() == 1;
        if from == to || in_order(from) && in_order(to) {
            return Ok(Self { image: to, ..self.clone() });
        }
        let row = |image: Image, i: usize| i % image.pixels() * image.channels + i / image.pixels();
        let lanes = kernels::padded(self.batch);
        let mut values = Buffer::new(self.values.len());
        for i in 0..to.pixels() * to.channels {
            let (src, dst) = (row(from, i) * lanes, row(to, i) * lanes);
            values[dst..dst + lanes].copy_from_slice(&self.values[src..src + lanes]);
        }
        Ok(Self::new(to, self.batch, values))
    }

    /// Number of samples.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Shape of one sample: channels, height, width.
    #[must_use]
    pub fn image(&self) -> [usize; 3] {
        [self.image.channels, self.image.height, self.image.width]
    }

    /// The values in memory order: `[H][W][C][N]`, with N padded to a multiple of 16. This is for
    /// callers that read a large result once, because a copy in another order would cost as much
    /// as the product. The values in the padding have no meaning.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The sum of squares of each sample.
    #[must_use]
    pub fn squares(&self) -> Vec<f64> {
        let mut sums = vec![0.; self.batch];
        let lanes = kernels::padded(self.batch);
        // The sums of a few rows are in f32, because the compiler vectorises them. These sums are
        // then added in f64.
        for run in self.values.chunks(64 * lanes) {
            let mut partial = vec![0f32; lanes];
            for row in run.chunks_exact(lanes) {
                partial.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
            }
            sums.iter_mut().zip(partial).for_each(|(sum, partial)| *sum += f64::from(partial));
        }
        sums
    }

    /// Multiplies each sample by its factor, and adds the samples of `other` multiplied by other
    /// factors.
    ///
    /// # Errors
    /// A number of factors that differs from the number of samples; another shape.
    pub fn combine(&self, factors: &[f32], other: Option<(&Self, &[f32])>) -> Result<Self> {
        let misfit = |maps: &Self, factors: &[f32]| {
            (maps.image, maps.batch, factors.len()) != (self.image, self.batch, self.batch)
        };
        if misfit(self, factors) || other.is_some_and(|(maps, factors)| misfit(maps, factors)) {
            candle_core::bail!(
                "combining {:?} with a factor for each of {} samples",
                self.dims(),
                factors.len()
            )
        }
        let lanes = kernels::padded(self.batch);
        let padded = |factors: &[f32]| [factors, &vec![0.; lanes - factors.len()]].concat();
        let own = padded(factors);
        let mut values = (*self.values).clone();
        values.chunks_exact_mut(lanes).for_each(|row| row.iter_mut().zip(&own).for_each(|(x, f)| *x *= f));
        if let Some((other, factors)) = other {
            let factors = padded(factors);
            for (row, add) in values.chunks_exact_mut(lanes).zip(other.values.chunks_exact(lanes)) {
                row.iter_mut().zip(add).zip(&factors).for_each(|((x, y), f)| *x += y * f);
            }
        }
        Ok(Self::new(self.image, self.batch, values))
    }

    pub(crate) fn new(image: Image, batch: usize, values: Buffer) -> Self {
        Self { image, batch, values: Arc::new(values) }
    }

    /// The values. They are copied if they are shared.
    pub(crate) fn into_values(self) -> Buffer {
        Arc::try_unwrap(self.values).unwrap_or_else(|shared| (*shared).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn values_have_the_batch_innermost() -> Result<()> {
        let x = Stream::new(0, "maps", 1).normal((3, 2), &Device::Cpu)?;
        let (maps, rows) = (Maps::from_tensor(&x)?, x.to_vec2::<f32>()?);
        assert_eq!(maps.values().len(), 2 * 16);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(*row, vec![maps.values()[n], maps.values()[16 + n]]);
        }
        Ok(())
    }

    #[test]
    fn reshapes_as_pytorch_views() -> Result<()> {
        let x = Stream::new(0, "maps", 0).normal((3, 2, 3, 4), &Device::Cpu)?;
        let maps = Maps::from_tensor(&x)?;
        for shape in [[24, 1, 1], [2, 3, 4], [1, 4, 6], [4, 3, 2]] {
            let expected = x.reshape((3, shape[0], shape[1], shape[2]))?.flatten_all()?.to_vec1::<f32>()?;
            let viewed = maps.reshape(shape)?.to_tensor()?.flatten_all()?.to_vec1::<f32>()?;
            assert!(viewed == expected, "{shape:?}");
        }
        assert!(maps.reshape([5, 1, 1]).is_err());
        assert!(Maps::from_tensor(&x.flatten_from(2)?).is_err());
        assert!(Maps::from_tensor(&Tensor::zeros((0, 3), candle_core::DType::F32, &Device::Cpu)?).is_err());
        Ok(())
    }
}
