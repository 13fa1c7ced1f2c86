//! The network from an image to a logit.

use crate::config::{DiscriminatorInput, ModelConfig};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::params::Params;
use crate::pass::Prepared;
use crate::sequential::{Mode, Sequential};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use std::collections::HashMap;

/// `D(x)` before its sigmoid.
#[derive(Debug, Clone)]
pub struct Discriminator {
    config: ModelConfig,
    network: Sequential,
    params: Params,
    device: Device,
}

impl Discriminator {
    /// Fresh weights: a pure function of `config` and `seed`.
    ///
    /// # Errors
    /// A configuration that [`ModelConfig::validate`] refuses.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self> {
        config.validate()?;
        let (network, params) = Params::seeded(seed, "discriminator", device, build(config))?;
        Ok(Self { config: config.clone(), network, params, device: device.clone() })
    }

    /// The weights of a PyTorch state dict (`model.0.weight`, ...).
    ///
    /// # Errors
    /// A configuration that cannot be used; a tensor that is missing, extra, not finite or of another
    /// shape.
    pub fn from_tensors(
        config: &ModelConfig,
        tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        let (network, params) = Params::from_tensors(tensors, device, build(config))?;
        Ok(Self { config: config.clone(), network, params, device: device.clone() })
    }

    /// The same network over the same weights, which it takes as constants: what the generator's step
    /// goes through. It follows every update of the original and shares its running statistics.
    ///
    /// # Errors
    /// None in practice.
    pub fn frozen(&self) -> Result<Self> {
        let network = build(&self.config)(self.params.frozen(&self.device))?;
        Ok(Self { network, ..self.clone() })
    }

    /// `x: [B, C, H, W]` in [-1, 1]; returns logits `[B]`.
    ///
    /// # Errors
    /// Another shape of `x`; in [`Mode::Train`], a batch norm over a single value.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        self.network.forward(&self.input(x)?, mode)?.flatten_all()
    }

    /// The largest magnitude that any layer gives in evaluation, the logit included. `x: [B, C, H, W]`.
    ///
    /// # Errors
    /// Another shape of `x`.
    pub fn largest_activation(&self, x: &Tensor) -> candle_core::Result<f32> {
        self.network.largest_activation(&self.input(x)?)
    }

    /// `x` as the first layer takes it.
    fn input(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        if x.dims().get(1..) != Some(&self.config.image_shape()[..]) {
            candle_core::bail!("images: expected [_, {:?}], found {:?}", self.config.image_shape(), x.dims())
        }
        match self.config.discriminator.input {
            DiscriminatorInput::Image => Ok(x.clone()),
            DiscriminatorInput::Flat => x.flatten_from(1),
        }
    }

    /// Its weights as they are now, for passes off candle's tape: images in, logits out.
    #[must_use]
    pub fn prepare(&self) -> Prepared<'_> {
        let image = self.config.image_shape();
        let input = match self.config.discriminator.input {
            DiscriminatorInput::Image => image.to_vec(),
            DiscriminatorInput::Flat => vec![image.iter().product()],
        };
        self.network.prepare(&input, &[1])
    }

    /// Whether a sample's logit depends on the others in training, by batch norm.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.network.couples_samples()
    }

    /// Gradients of zero for its trainable parameters.
    ///
    /// # Errors
    /// None in practice.
    pub fn gradients(&self) -> candle_core::Result<Gradients> {
        Gradients::new(&self.prepare(), &self.params)
    }

    /// The configuration it was built from.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Its weights and running statistics.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }
}

fn build(config: &ModelConfig) -> impl FnOnce(VarBuilder<'static>) -> candle_core::Result<Sequential> {
    let layers = config.discriminator_layers();
    move |vb| Sequential::new(&layers, vb.pp("model"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, preset};
    use gan_ops::rng::Stream;

    #[test]
    fn a_frozen_view_passes_gradients_on_and_takes_none() {
        let device = Device::Cpu;
        let config = preset::dcgan_28();
        let generator = Generator::new(&config, 1, &device).unwrap();
        let discriminator = Discriminator::new(&config, 1, &device).unwrap();
        let frozen = discriminator.frozen().unwrap();
        let z = Stream::new(0, "z", 0).normal((2, 100), &device).unwrap();
        let fake = generator.forward(&z, Mode::Train).unwrap();
        let grads = frozen.forward(&fake, Mode::Train).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(generator.params().trainable().all(|(_, var)| grads.get(var).is_some()));
        assert!(discriminator.params().iter().all(|(_, var)| grads.get(var).is_none()));

        // It follows updates and shares the statistics.
        let weight = discriminator.params().get("model.0.weight").unwrap();
        weight.set(&(weight.as_detached_tensor() * 2.).unwrap()).unwrap();
        let x = fake.detach();
        let logits = |d: &Discriminator| d.forward(&x, Mode::Eval).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(logits(&discriminator), logits(&frozen));
        let before = discriminator.params().get("model.3.running_mean").unwrap().to_vec1::<f32>().unwrap();
        frozen.forward(&x, Mode::Train).unwrap();
        let after = discriminator.params().get("model.3.running_mean").unwrap().to_vec1::<f32>().unwrap();
        assert_ne!(before, after);
    }

    #[test]
    fn logits_are_one_per_image() {
        for config in [preset::mlp_001(), preset::mlp_003(9), preset::dcgan_28()] {
            let discriminator = Discriminator::new(&config, 1, &Device::Cpu).unwrap();
            let x = Tensor::zeros((3, 1, 28, 28), candle_core::DType::F32, &Device::Cpu).unwrap();
            assert_eq!(discriminator.forward(&x, Mode::Train).unwrap().dims(), [3]);
            assert!(discriminator.forward(&x.flatten_from(1).unwrap(), Mode::Train).is_err());
        }
    }
}
