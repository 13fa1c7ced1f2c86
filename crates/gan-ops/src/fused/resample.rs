//! Operations without weights: maps of twice and of half the size, and sums and products of maps.

use super::Maps;
use crate::geometry::Image;
use crate::kernels;
use candle_core::Result;

impl Maps {
    /// Turns each pixel into 2x2 pixels and multiplies it by `factor`. With 1 this is
    /// nearest-neighbour upsampling. With 1/4 it is the gradient of the input of average pooling.
    ///
    /// # Errors
    /// None in practice.
    pub fn enlarge(&self, factor: f32) -> Result<Self> {
        let Image { channels, height, width } = self.image;
        let image = Image { channels, height: 2 * height, width: 2 * width };
        let at_once = channels * kernels::padded(self.batch);
        let mut values = kernels::Buffer::new(image.len(self.batch));
        kernels::each_pixel(&mut values, at_once, |pixel, out| {
            let (y, x) = (pixel / image.width / 2, pixel % image.width / 2);
            let from = &self.values[(y * width + x) * at_once..][..at_once];
            out.iter_mut().zip(from).for_each(|(out, from)| *out = factor * from);
        });
        Ok(Self::new(image, self.batch, values))
    }

    /// Adds the four pixels of each 2x2 square and multiplies the sum by `factor`. With 1/4 this
    /// is average pooling. With 1 it is the gradient of the input of nearest-neighbour upsampling.
    ///
    /// # Errors
    /// An odd size.
    pub fn reduce(&self, factor: f32) -> Result<Self> {
        let Image { channels, height, width } = self.image;
        if !height.is_multiple_of(2) || !width.is_multiple_of(2) {
            candle_core::bail!("pooling of 2x2 needs even sizes, found {height}x{width}")
        }
        let image = Image { channels, height: height / 2, width: width / 2 };
        let at_once = channels * kernels::padded(self.batch);
        let mut values = kernels::Buffer::new(image.len(self.batch));
        kernels::each_pixel(&mut values, at_once, |pixel, out| {
            let (y, x) = (pixel / image.width * 2, pixel % image.width * 2);
            let [a, b, c, d] = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .map(|(down, right)| &self.values[((y + down) * width + x + right) * at_once..][..at_once]);
            for (i, out) in out.iter_mut().enumerate() {
                *out = factor * ((a[i] + b[i]) + (c[i] + d[i]));
            }
        });
        Ok(Self::new(image, self.batch, values))
    }

    /// The sum of two maps of the same shape.
    ///
    /// # Errors
    /// Another shape.
    pub fn plus(self, other: &Self) -> Result<Self> {
        self.with(other, |sum, other| *sum += other)
    }

    /// The product of two maps of the same shape, element by element.
    ///
    /// # Errors
    /// Another shape.
    pub fn times(self, other: &Self) -> Result<Self> {
        self.with(other, |product, other| *product *= other)
    }

    fn with(self, other: &Self, f: impl Fn(&mut f32, &f32) + Sync) -> Result<Self> {
        if (self.image, self.batch) != (other.image, other.batch) {
            candle_core::bail!(
                "expected two maps of one shape, found {:?} and {:?}",
                self.dims(),
                other.dims()
            )
        }
        let (image, batch) = (self.image, self.batch);
        let at_once = image.channels * kernels::padded(batch);
        let mut values = self.into_values();
        kernels::each_pixel(&mut values, at_once, |pixel, own| {
            let other = &other.values[pixel * at_once..][..at_once];
            own.iter_mut().zip(other).for_each(|(own, other)| f(own, other));
        });
        Ok(Self::new(image, batch, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use candle_core::{Device, Tensor};

    fn values(maps: &Maps) -> Vec<f32> {
        maps.to_tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn pooling_halves_what_upsampling_doubles() -> Result<()> {
        let x = Stream::new(0, "resample", 0).normal((3, 2, 3, 5), &Device::Cpu)?;
        let maps = Maps::from_tensor(&x)?;
        let large = maps.enlarge(1.)?;
        assert_eq!(large.image(), [2, 6, 10]);
        let expected: Vec<f32> = crate::upsample(&x)?.flatten_all()?.to_vec1()?;
        assert!(values(&large) == expected);
        assert!(values(&large.reduce(0.25)?) == values(&maps));
        let even = x.narrow(2, 0, 2)?.narrow(3, 0, 4)?.contiguous()?;
        let expected: Vec<f32> = even.avg_pool2d(2)?.flatten_all()?.to_vec1()?;
        let pooled = values(&Maps::from_tensor(&even)?.reduce(0.25)?);
        assert!(pooled.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6) && expected.len() == 12);
        assert!(maps.reduce(1.).is_err());
        assert!(Maps::from_tensor(&x.flatten_from(1)?)?.reduce(1.).is_err());
        Ok(())
    }

    #[test]
    fn sums_and_products_are_of_one_shape() -> Result<()> {
        let x = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
        let maps = Maps::from_tensor(&x)?;
        assert_eq!(values(&maps.clone().plus(&maps)?), [2., 4., 6., 8.]);
        assert_eq!(values(&maps.clone().times(&maps)?), [1., 4., 9., 16.]);
        let other = Maps::from_tensor(&x.narrow(0, 0, 1)?)?;
        assert!(maps.clone().plus(&other).is_err() && maps.times(&other).is_err());
        Ok(())
    }
}
