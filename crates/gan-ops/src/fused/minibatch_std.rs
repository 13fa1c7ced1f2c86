//! Minibatch standard deviation: it appends to each sample a channel that tells how much the
//! samples differ.

use super::Maps;
use crate::geometry::Image;
use crate::kernels;
use crate::reference::members;
use candle_core::Result;

/// This is added to a variance before its root is taken, as in the authors' programs.
const EPS: f32 = 1e-8;

impl Maps {
    /// Appends the minibatch standard deviation as one more channel (Karras et al. 2018, arXiv
    /// 1710.10196, section 3; in groups as in Karras et al. 2019). It is the standard deviation
    /// over the samples of a group, for each channel and pixel. The mean of these deviations fills
    /// the new channel of each sample in the group.
    ///
    /// A group has at most `group` samples. Its size is the largest divisor of the batch within
    /// this limit. Sample n is in group n modulo the number of groups, as in the authors'
    /// programs.
    #[must_use]
    pub fn with_deviation(&self, group: usize) -> Self {
        let Image { channels, height, width } = self.image;
        let (lanes, members) = (kernels::padded(self.batch), members(self.batch, group));
        let groups = self.batch / members;
        let mut means = vec![0f64; groups];
        for row in self.values.chunks_exact(lanes) {
            for (g, mean) in means.iter_mut().enumerate() {
                *mean += f64::from(spread(row, g, groups, members).1);
            }
        }
        let count = (channels * height * width) as f64;
        let mut appended = vec![0.; lanes];
        for (n, value) in appended.iter_mut().take(self.batch).enumerate() {
            *value = (means[n % groups] / count) as f32;
        }
        let image = Image { channels: channels + 1, height, width };
        let mut values = kernels::Buffer::new(image.len(self.batch));
        for (out, from) in
            values.chunks_exact_mut((channels + 1) * lanes).zip(self.values.chunks_exact(channels * lanes))
        {
            out[..channels * lanes].copy_from_slice(from);
            out[channels * lanes..].copy_from_slice(&appended);
        }
        Self::new(image, self.batch, values)
    }

    /// Computes the gradient of these maps from the gradient of [`Self::with_deviation`].
    ///
    /// # Errors
    /// A gradient of another shape.
    pub fn deviation_gradient(&self, gradient: &Self, group: usize) -> Result<Self> {
        let Image { channels, height, width } = self.image;
        let larger = Image { channels: channels + 1, height, width };
        if (gradient.image, gradient.batch) != (larger, self.batch) {
            candle_core::bail!("a gradient of {:?} for {:?} and a channel", gradient.dims(), self.dims())
        }
        let (lanes, members) = (kernels::padded(self.batch), members(self.batch, group));
        let groups = self.batch / members;
        // The gradient of each group's mean deviation.
        let mut of_mean = vec![0f64; groups];
        let pixels = gradient.values.chunks_exact((channels + 1) * lanes);
        for appended in pixels.clone().map(|pixel| &pixel[channels * lanes..]) {
            appended[..self.batch]
                .iter()
                .enumerate()
                .for_each(|(n, value)| of_mean[n % groups] += f64::from(*value));
        }
        let count = (channels * height * width * members) as f64;
        let mut values = kernels::Buffer::new(self.values.len());
        let rows = self.values.chunks_exact(lanes);
        let of_rows = pixels.flat_map(|pixel| pixel[..channels * lanes].chunks_exact(lanes));
        for ((out, row), of_row) in values.chunks_exact_mut(lanes).zip(rows).zip(of_rows) {
            out.copy_from_slice(of_row);
            for (g, of_mean) in of_mean.iter().enumerate() {
                let (mean, deviation) = spread(row, g, groups, members);
                let factor = (of_mean / count) as f32 / deviation;
                for n in (g..self.batch).step_by(groups) {
                    out[n] += factor * (row[n] - mean);
                }
            }
        }
        Ok(Self::new(self.image, self.batch, values))
    }
}

/// Mean and standard deviation of the samples of group `g`.
fn spread(row: &[f32], g: usize, groups: usize, members: usize) -> (f32, f32) {
    let values = || (0..members).map(|m| row[m * groups + g]);
    let mean = values().sum::<f32>() / members as f32;
    let variance = values().map(|x| (x - mean).powi(2)).sum::<f32>() / members as f32;
    (mean, (variance + EPS).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use candle_core::Device;

    #[test]
    fn groups_divide_the_batch() {
        assert_eq!([(64, 4), (6, 4), (5, 4), (3, 4), (1, 4)].map(|(n, g)| members(n, g)), [4, 3, 1, 3, 1]);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() -> Result<()> {
        let x = Stream::new(0, "std", 0).normal((6, 2, 2, 3), &Device::Cpu)?;
        let weights = Maps::from_tensor(&Stream::new(0, "std", 1).normal((6, 3, 2, 3), &Device::Cpu)?)?;
        let of = |maps: &Maps| -> f64 {
            let (y, lanes) = (maps.with_deviation(3), 16);
            let pairs = y.values.chunks_exact(lanes).zip(weights.values.chunks_exact(lanes));
            pairs.flat_map(|(y, w)| y[..6].iter().zip(w).map(|(y, w)| f64::from(y * w))).sum()
        };
        let maps = Maps::from_tensor(&x)?;
        let gradient = maps.deviation_gradient(&weights, 3)?.to_vec();
        let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
        for i in 0..values.len() {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[i] += by;
                of(&Maps::from_tensor(
                    &candle_core::Tensor::from_vec(values, x.shape(), &Device::Cpu).unwrap(),
                )
                .unwrap())
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(gradient[i]) - expected).abs() < 2e-3, "{i}: {} {expected}", gradient[i]);
        }
        assert!(maps.deviation_gradient(&maps, 3).is_err());
        Ok(())
    }
}
