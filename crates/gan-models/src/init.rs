//! Initial weights: PyTorch's defaults for fully connected networks, DCGAN's for convolutional ones.
//!
//! candle's own layers initialise differently (Kaiming with ReLU's gain), which changes how a GAN
//! trains.

use crate::layer::Layer;
use candle_nn::Init;

/// Deviation of DCGAN's initial weights (Radford et al. 2016, section 4).
pub const DCGAN_DEVIATION: f64 = 0.02;

/// Distribution of a layer's `weight`.
///
/// - `Linear`: PyTorch's default, Kaiming uniform with `a = sqrt(5)` (He et al. 2015), which is the
///   uniform distribution on `+-1 / sqrt(fan_in)`.
/// - convolutions: normal with the deviation that the layer says, 0.02 in DCGAN; batch norm N(1, 0.02), as there (Radford et
///   al. 2016, section 4, and the PyTorch tutorial's `weights_init`).
#[must_use]
pub fn weight(layer: &Layer) -> Init {
    match layer {
        Layer::Linear { inputs, .. } => fan_in_uniform(*inputs),
        Layer::Conv2d(c) | Layer::ConvTranspose2d(c) => Init::Randn { mean: 0., stdev: c.deviation },
        _ => Init::Randn { mean: 1., stdev: DCGAN_DEVIATION },
    }
}

/// Distribution of a layer's `bias`: PyTorch's default, uniform on `+-1 / sqrt(fan_in)`, and 0 for
/// batch norm. (PyTorch's fan-in of a transposed convolution is that of its weight `[in, out, k, k]`:
/// `out * k * k`.)
#[must_use]
pub fn bias(layer: &Layer) -> Init {
    match layer {
        Layer::Linear { inputs, .. } => fan_in_uniform(*inputs),
        Layer::Conv2d(c) => fan_in_uniform(c.inputs * c.kernel * c.kernel),
        Layer::ConvTranspose2d(c) => fan_in_uniform(c.outputs * c.kernel * c.kernel),
        _ => Init::Const(0.),
    }
}

fn fan_in_uniform(fan_in: usize) -> Init {
    let bound = 1. / (fan_in as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

#[cfg(test)]
mod tests {
    use crate::{Discriminator, Generator, preset};
    use candle_core::{Device, Tensor};

    /// Mean, standard deviation, largest absolute value.
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
