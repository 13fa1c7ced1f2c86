//! The network from a latent vector to an image.

use crate::batch::Batch;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::mode::Mode;
use crate::params::Params;
use crate::pass::Prepared;
use crate::sequential::Sequential;
use candle_core::{DType, Device, Tensor};
use gan_ops::AllReduce;
use std::collections::HashMap;
use std::sync::Arc;

/// `G(z)`: its layers, weights and configuration.
#[derive(Debug, Clone)]
pub struct Generator {
    config: ModelConfig,
    network: Sequential,
    params: Params,
    device: Device,
}

impl Generator {
    /// Makes a generator with fresh weights. They are a pure function of `config` and `seed`.
    ///
    /// # Errors
    /// A configuration that [`ModelConfig::validate`] refuses.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self> {
        config.validate()?;
        let (network, params) = Sequential::seeded(&config.generator_layers(), seed, "generator", device)?;
        Ok(Self { config: config.clone(), network, params, device: device.clone() })
    }

    /// Makes a generator with the weights of a PyTorch state dict (`model.0.weight`, ...).
    ///
    /// # Errors
    /// A configuration that cannot be used; a tensor that is missing, extra, not finite or of
    /// another shape.
    pub fn from_tensors(
        config: &ModelConfig,
        tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        let (network, params) = Sequential::from_tensors(&config.generator_layers(), tensors, device)?;
        Ok(Self { config: config.clone(), network, params, device: device.clone() })
    }

    /// `z: [B, latent_dim]`, followed by labels if the model has classes
    /// ([`Latents`](crate::Latents)); returns images `[B, C, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Another shape of `z`; in [`Mode::Train`], a batch norm over a single value.
    pub fn forward(&self, z: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        let [channels, height, width] = self.config.image_shape();
        self.network.forward(&self.input(z)?, mode)?.reshape((z.dim(0)?, channels, height, width))
    }

    /// [`Self::forward`] in [`Mode::Eval`] without gradients. It is the fastest way to make
    /// images.
    ///
    /// # Errors
    /// Another shape of `z`.
    pub fn generate(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let images = self.prepare()?.evaluate(&self.latents(z)?)?.to_tensor()?;
        let [channels, height, width] = self.config.image_shape();
        images.reshape(((), channels, height, width))
    }

    /// The largest magnitude in the output of any layer in evaluation. `z` has the shape of
    /// [`Self::forward`].
    ///
    /// # Errors
    /// Another shape of `z`.
    pub fn largest_activation(&self, z: &Tensor) -> candle_core::Result<f32> {
        self.network.largest_activation(&self.input(z)?)
    }

    /// Makes a batch of latents for the passes of [`Self::prepare`]. `z` has the shape of
    /// [`Self::forward`].
    ///
    /// # Errors
    /// Another shape of `z`.
    pub fn latents(&self, z: &Tensor) -> candle_core::Result<Batch> {
        self.check(z)?;
        Batch::new(z)
    }

    /// Gives `z` the shape that the first layer takes.
    fn input(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        self.check(z)?;
        z.reshape([&[z.dim(0)?], &self.config.generator_input()[..]].concat())
    }

    fn check(&self, z: &Tensor) -> candle_core::Result<()> {
        let ((_, found), expected) = (z.dims2()?, self.config.latents().width());
        if found != expected {
            candle_core::bail!("latents: expected [_, {expected}], found {:?}", z.dims())
        }
        Ok(())
    }

    /// Prepares passes with the present weights that are not on candle's tape. They take latents
    /// and return images.
    ///
    /// # Errors
    /// None in practice.
    pub fn prepare(&self) -> candle_core::Result<Prepared<'_>> {
        self.network.prepare(&self.config.generator_input(), &self.config.image_shape())
    }

    /// The same network, with the same weights, as a rank of a group. In training, batch norm computes its
    /// statistics over the samples of all `ranks` together, which must make the same passes in the same order.
    ///
    /// # Errors
    /// None in practice.
    pub fn over_ranks(self, ranks: Arc<dyn AllReduce>) -> candle_core::Result<Self> {
        let network = Sequential::shared(&self.config.generator_layers(), &self.params, ranks)?;
        Ok(Self { network, ..self })
    }

    /// A copy whose weights and statistics have another type, such as bf16, which takes half of the memory. It takes
    /// latents of this type, and returns images of it. candle's own operations compute it, also on the CPU.
    ///
    /// # Errors
    /// A type that candle cannot convert to.
    pub fn in_dtype(&self, dtype: DType) -> Result<Self> {
        let params = self.params.in_dtype(dtype)?;
        let network = Sequential::with_params(&self.config.generator_layers(), &params)?;
        Ok(Self { network, params, ..self.clone() })
    }

    /// Zero gradients for the trainable parameters.
    #[must_use]
    pub fn gradients(&self) -> Gradients {
        Gradients::new(&self.params)
    }

    /// The configuration that the generator was built from.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The weights and running statistics.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Draws;
    use crate::preset;

    #[test]
    fn images_have_the_configured_shape_and_range() {
        let device = Device::Cpu;
        for config in [preset::mlp_002(), preset::mlp_003(3), preset::dcgan_28()] {
            let generator = Generator::new(&config, 1, &device).unwrap();
            let z = Tensor::zeros((2, config.latent_dim), candle_core::DType::F32, &device).unwrap();
            for mode in [Mode::Eval, Mode::Train(Draws::default())] {
                let images = generator.forward(&z, mode).unwrap();
                assert_eq!(images.dims(), [2, 1, 28, 28]);
                let largest = images.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(largest <= 1.);
            }
            assert!(generator.forward(&z.narrow(1, 0, 2).unwrap(), Mode::Eval).is_err());
        }
    }

    #[test]
    fn weights_are_a_function_of_the_seed() {
        let config = preset::mlp_002();
        let first = |seed| {
            let generator = Generator::new(&config, seed, &Device::Cpu).unwrap();
            generator.params().get("model.0.weight").unwrap().to_vec2::<f32>().unwrap()[0][0]
        };
        assert_eq!(first(1).to_bits(), first(1).to_bits());
        assert_ne!(first(1).to_bits(), first(2).to_bits());
    }

    #[test]
    fn a_state_dict_is_taken_only_whole() {
        let config = preset::mlp_003(5);
        let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
        let tensors = || -> HashMap<String, Tensor> { generator.params().state_dict().into_iter().collect() };
        let error =
            |tensors| Generator::from_tensors(&config, tensors, &Device::Cpu).unwrap_err().to_string();
        assert!(Generator::from_tensors(&config, tensors(), &Device::Cpu).is_ok());

        let mut extra = tensors();
        extra.insert("model.0.num_batches_tracked".into(), Tensor::new(3i64, &Device::Cpu).unwrap());
        assert!(Generator::from_tensors(&config, extra.clone(), &Device::Cpu).is_ok());
        extra.insert("model.9.weight".into(), Tensor::new(3f32, &Device::Cpu).unwrap());
        assert_eq!(error(extra), "tensor model.9.weight does not belong to this network");

        let mut missing = tensors();
        missing.remove("model.2.bias");
        assert_eq!(error(missing), "tensor model.2.bias of shape [256] is missing");

        let mut reshaped = tensors();
        reshaped.insert("model.2.bias".into(), Tensor::new(&[3f32], &Device::Cpu).unwrap());
        assert_eq!(error(reshaped), "tensor model.2.bias: expected shape [256], found [1]");

        let mut nan = tensors();
        nan.insert("model.2.bias".into(), Tensor::new(&[f32::NAN; 256], &Device::Cpu).unwrap());
        assert_eq!(error(nan), "tensor model.2.bias holds NaN or infinity");

        let mut large = tensors();
        large.insert("model.2.bias".into(), Tensor::new(&[1e300; 256], &Device::Cpu).unwrap());
        assert_eq!(error(large), "tensor model.2.bias holds 1e300, which is too large for f32");

        let mut whole = tensors();
        whole.insert("model.2.bias".into(), Tensor::new(&[1u32; 256], &Device::Cpu).unwrap());
        assert_eq!(error(whole), "tensor model.2.bias: expected floats, found u32");

        let config = preset::dcgan_28();
        let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
        let mut negative: HashMap<String, Tensor> = generator.params().state_dict().into_iter().collect();
        negative.insert("model.1.running_var".into(), Tensor::new(&[-1f32; 256], &Device::Cpu).unwrap());
        let error = Generator::from_tensors(&config, negative, &Device::Cpu).unwrap_err().to_string();
        assert_eq!(error, "tensor model.1.running_var holds a negative variance");
    }
}
