//! Seeded random tensors that need no stored state.
//!
//! A [`Stream`] is a pure function of (seed, purpose, index): the noise of step 1,000 is the same
//! whether the 999 steps before it ran in this process or not. Therefore a resumed run is bit for
//! bit equal to an unbroken run. candle's own CPU generator cannot be seeded.

use candle_core::{Device, Result, Shape, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

/// A reproducible source of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for one `purpose` ("noise", "init/model.0.weight", ...) at one `index` (a step).
    /// Different arguments give independent streams.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes()).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The next values of the standard normal distribution, f32, in the given shape.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn normal(&mut self, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = StandardNormal.sample_iter(&mut self.0).take(shape.elem_count()).collect();
        Tensor::from_vec(values, shape, device)
    }

    /// The next values of the uniform distribution on `[low, high)`, f32, in the given shape.
    ///
    /// # Errors
    /// Bounds that are not finite or not in order.
    pub fn uniform(
        &mut self,
        low: f32,
        high: f32,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Tensor> {
        let shape = shape.into();
        let uniform = Uniform::new(low, high).map_err(candle_core::Error::wrap)?;
        let values: Vec<f32> = uniform.sample_iter(&mut self.0).take(shape.elem_count()).collect();
        Tensor::from_vec(values, shape, device)
    }

    /// Passes over the next `count` values of the uniform distribution, at once.
    pub fn skip_uniform(&mut self, count: usize) {
        // Each value takes one word.
        self.0.set_word_pos(self.0.get_word_pos() + count as u128);
    }

    /// Passes over the next `count` values of the normal distribution. They must be drawn for this,
    /// because a value takes as many words as it needs.
    pub fn skip_normal(&mut self, count: usize) {
        for _ in 0..count {
            let _: f32 = StandardNormal.sample(&mut self.0);
        }
    }
}

/// FNV-1a, 64 bits. It is short, and it gives the same result on every platform.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, purpose: &str, index: u64) -> Vec<f32> {
        Stream::new(seed, purpose, index).normal(4, &Device::Cpu).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn is_a_pure_function_of_its_arguments() {
        assert_eq!(first(1, "noise", 7), first(1, "noise", 7));
        assert_ne!(first(1, "noise", 7), first(2, "noise", 7));
        assert_ne!(first(1, "noise", 7), first(1, "init", 7));
        assert_ne!(first(1, "noise", 7), first(1, "noise", 8));
    }

    #[test]
    fn a_stream_does_not_depend_on_how_it_is_cut() -> Result<()> {
        let device = Device::Cpu;
        let whole: Vec<f32> = Stream::new(0, "cut", 0).normal(10, &device)?.to_vec1()?;
        let mut stream = Stream::new(0, "cut", 0);
        let mut parts: Vec<f32> = stream.normal(3, &device)?.to_vec1()?;
        parts.extend(stream.normal(7, &device)?.to_vec1::<f32>()?);
        assert_eq!(whole, parts);
        Ok(())
    }

    #[test]
    fn a_stream_can_be_entered_anywhere() -> Result<()> {
        let device = Device::Cpu;
        let whole: Vec<f32> = Stream::new(0, "skip", 0).uniform(-1., 2., 100, &device)?.to_vec1()?;
        for first in [0, 1, 15, 16, 17, 63, 64, 65, 99] {
            let mut stream = Stream::new(0, "skip", 0);
            stream.skip_uniform(first);
            let rest: Vec<f32> = stream.uniform(-1., 2., 100 - first, &device)?.to_vec1()?;
            assert_eq!(whole[first..], rest, "{first}");
        }
        let whole: Vec<f32> = Stream::new(0, "skip", 1).normal(2000, &device)?.to_vec1()?;
        let mut stream = Stream::new(0, "skip", 1);
        stream.skip_normal(1500);
        assert_eq!(whole[1500..], stream.normal(500, &device)?.to_vec1::<f32>()?);
        Ok(())
    }

    #[test]
    fn the_moments_are_right() -> Result<()> {
        let n = 100_000;
        let normal: Vec<f32> = Stream::new(3, "moments", 0).normal(n, &Device::Cpu)?.to_vec1()?;
        let uniform: Vec<f32> = Stream::new(3, "moments", 1).uniform(-2., 4., n, &Device::Cpu)?.to_vec1()?;
        for (values, mean, var) in [(normal, 0., 1.), (uniform, 1., 3.)] {
            let m = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
            let v = values.iter().map(|&v| (f64::from(v) - m).powi(2)).sum::<f64>() / n as f64;
            assert!((m - mean).abs() < 0.02 && (v - var).abs() < 0.03, "mean {m}, variance {v}");
        }
        assert!(Stream::new(3, "moments", 1).uniform(1., 0., 4, &Device::Cpu).is_err());
        Ok(())
    }
}
