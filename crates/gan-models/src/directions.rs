//! Directions in the space of latents along which a generator's images change most.

use crate::error::{ModelError, Result};
use crate::generator::Generator;
use candle_core::{DType, Device};
use nalgebra::{DMatrix, SymmetricEigen};

impl Generator {
    /// Directions in the space of latents, the one with the largest effect first: unit vectors of
    /// `latent_dim` elements, each at right angles to the others. There are `latent_dim` of them.
    ///
    /// They are the right singular vectors of the first layer's weight (`SeFa`: Shen and Zhou 2021, arXiv
    /// 2007.06600): the first layer's output changes most along the first. Labels are no directions. The
    /// largest element of each vector is positive, because a singular vector has no sign of its own.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn directions(&self) -> Result<Vec<Vec<f32>>> {
        let (inputs, latent_dim) = (self.config().latents().width(), self.config().latent_dim);
        // A linear layer's weight is [outputs, inputs], a transposed convolution's [inputs, outputs, k, k].
        let weight = self.params().trained().find_map(|(_, weight)| match *weight.dims() {
            [_, columns] if columns == inputs => Some(weight.as_tensor().t()),
            [rows, _, _, _] if rows == inputs => Some(weight.flatten_from(1)),
            _ => None,
        });
        let Some(weight) = weight else { return Err(unexpected("no weight for the latents")) };
        let weight = weight?.to_device(&Device::Cpu)?.narrow(0, 0, latent_dim)?.to_dtype(DType::F64)?;
        let products = weight.matmul(&weight.t()?.contiguous()?)?.flatten_all()?.to_vec1::<f64>()?;
        if products.iter().any(|product| !product.is_finite()) {
            return Err(unexpected("a weight that is too large or not finite"));
        }
        let eigen = SymmetricEigen::new(DMatrix::from_vec(latent_dim, latent_dim, products));
        let mut order: Vec<usize> = (0..latent_dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let direction = |&index: &usize| {
            let column = eigen.eigenvectors.column(index);
            let sign = column[column.icamax()].signum();
            column.iter().map(|element| (sign * element) as f32).collect()
        };
        Ok(order.iter().map(direction).collect())
    }
}

fn unexpected(found: &str) -> ModelError {
    ModelError::Weights(format!("directions: expected a first layer with weights, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, DiscriminatorConfig, GeneratorConfig, HiddenActivation, ModelConfig, preset};
    use candle_core::Tensor;

    fn residual() -> ModelConfig {
        let discriminator = DiscriminatorConfig { blocks: 1, ..DiscriminatorConfig::new(&[4, 8, 8]) };
        let generator = GeneratorConfig::new(&[8, 8, 4], HiddenActivation::LeakyRelu);
        let generator = GeneratorConfig { blocks: 1, ..generator };
        ModelConfig { arch: Arch::Residual, generator, discriminator, ..preset::dcgan_28() }
    }

    #[test]
    fn directions_are_unit_vectors_in_the_order_of_their_effect() {
        let conditional = ModelConfig { classes: Some(10), ..preset::dcgan_28() };
        for config in [preset::mlp_002(), preset::dcgan_28(), preset::dcgan_64(), conditional, residual()] {
            let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
            let directions = generator.directions().unwrap();
            assert_eq!(directions.len(), config.latent_dim);
            let mut weights = generator.params().trained().map(|(_, weight)| weight.as_tensor().clone());
            let weight = weights.find(|weight| weight.rank() > 1).unwrap();
            let rows = if weight.rank() == 2 { weight.t() } else { weight.flatten_from(1) }.unwrap();
            let rows = rows.narrow(0, 0, config.latent_dim).unwrap().contiguous().unwrap();
            let effect = |direction: &Vec<f32>| {
                let moved = Tensor::new(&direction[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
                let moved = moved.matmul(&rows).unwrap().sqr().unwrap().sum_all().unwrap();
                moved.to_scalar::<f32>().unwrap()
            };
            let effects: Vec<f32> = directions.iter().map(effect).collect();
            let is_sorted = effects.windows(2).all(|pair| pair[0] >= pair[1] * 0.999);
            assert!(is_sorted && effects[0] > *effects.last().unwrap(), "{effects:?}");
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            for (i, one) in directions.iter().enumerate().step_by(7) {
                assert!((dot(one, one) - 1.).abs() < 1e-4);
                assert!(directions[..i].iter().all(|other| dot(one, other).abs() < 1e-4));
                assert!(one.iter().copied().fold(0f32, |a, b| if b.abs() > a.abs() { b } else { a }) > 0.);
            }
        }
    }
}
