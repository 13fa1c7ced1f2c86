//! Initial values: PyTorch's defaults for fully connected networks, and the DCGAN paper's values
//! for convolutional ones. The file of each kind of layer names the one that it uses.
//!
//! candle's own layers start with other values (Kaiming with ReLU's gain). That would change how
//! a GAN trains.

use candle_nn::Init;

/// Standard deviation of DCGAN's initial weights (Radford et al. 2016, section 4).
pub const DCGAN_DEVIATION: f64 = 0.02;

/// Uniform on `+-1 / sqrt(fan_in)`.
pub(crate) fn fan_in_uniform(fan_in: usize) -> Init {
    let bound = 1. / (fan_in as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

pub(crate) fn normal(mean: f64, stdev: f64) -> Init {
    Init::Randn { mean, stdev }
}

pub(crate) fn constant(value: f64) -> Init {
    Init::Const(value)
}

#[cfg(test)]
mod tests {
    use crate::{Discriminator, Generator, preset};
    use candle_core::{Device, Tensor};

    /// Returns the mean, the standard deviation and the largest absolute value.
    fn moments(tensor: &Tensor) -> (f64, f64, f64) {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let var = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        let max = values.iter().fold(0f32, |max, v| max.max(v.abs()));
        (mean, var.sqrt(), f64::from(max))
    }

    #[test]
    fn an_mlp_starts_as_in_pytorch() {
        let discriminator = Discriminator::new(&preset::mlp_001(), 0, &Device::Cpu).unwrap();
        for (name, fan_in) in [("model.1.weight", 784.), ("model.1.bias", 784.), ("model.3.weight", 512.)] {
            let bound = 1. / f64::sqrt(fan_in);
            let (mean, std, max) = moments(discriminator.params().get(name).unwrap());
            assert!(mean.abs() < 0.1 * bound, "{name}: mean {mean}");
            // A uniform distribution on +-b has the deviation b / sqrt(3).
            assert!((std / (bound / 3f64.sqrt()) - 1.).abs() < 0.06, "{name}: deviation {std}");
            assert!(max <= bound && max > 0.98 * bound, "{name}: {max} against the bound {bound}");
        }
    }

    #[test]
    fn a_dcgan_starts_as_in_its_paper() {
        let generator = Generator::new(&preset::dcgan_28(), 0, &Device::Cpu).unwrap();
        for (name, mean, std, tolerance) in [
            ("model.0.weight", 0., 0.02, 1e-4),
            ("model.3.weight", 0., 0.02, 1e-4),
            ("model.1.weight", 1., 0.02, 4e-3),
        ] {
            let (found_mean, found_std, _) = moments(generator.params().get(name).unwrap());
            assert!((found_mean - mean).abs() < tolerance, "{name}: mean {found_mean}");
            assert!((found_std - std).abs() < tolerance, "{name}: deviation {found_std}");
        }
        for (name, value) in [("model.1.bias", 0.), ("model.1.running_mean", 0.), ("model.1.running_var", 1.)]
        {
            let tensor: Vec<f32> = generator.params().get(name).unwrap().to_vec1().unwrap();
            assert_eq!(tensor, [value; 256], "{name}");
        }
    }
}
