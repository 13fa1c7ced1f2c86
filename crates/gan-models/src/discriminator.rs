//! The network from an image to a logit.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::latents::check_labels;
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
        network.begin_power_iterations()?;
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

    /// `x: [B, C, H, W]` in [-1, 1]; returns logits `[B]`, or one for as many images as it sees at once.
    ///
    /// # Errors
    /// Another shape of `x`; a model with classes, which wants labels ([`Self::forward_of`]); in [`Mode::Train`], a batch norm
    /// over a single value.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        if let Some(classes) = self.config.classes {
            candle_core::bail!("expected labels: the discriminator knows {classes} classes")
        }
        self.results(x, mode)?.flatten_all()
    }

    /// [`Self::forward`] of a model with classes: whether `x` are real images of their `labels`, by the projection of Miyato and
    /// Koyama 2018 (arXiv 1802.05637, equation 6). The embedding of the classes are the rows after the first of the last
    /// layer's weight; unlike there, they have a bias each where that layer has one, and spectral norm takes all rows together.
    ///
    /// # Errors
    /// As [`Self::forward`]; another number of labels, or one of no class.
    pub fn forward_of(&self, x: &Tensor, labels: &[u8], mode: Mode) -> candle_core::Result<Tensor> {
        let (results, classes) = (self.results(x, mode)?, self.config.classes.unwrap_or(0));
        check_labels(labels, results.dim(0)?, classes)?;
        let places: Vec<u32> = labels.iter().map(|&label| 1 + u32::from(label)).collect();
        let places = Tensor::new(places, x.device())?.unsqueeze(1)?;
        let of_class = results.gather(&places, 1)?;
        (results.narrow(1, 0, 1)? + of_class)?.squeeze(1)
    }

    /// `[B, results]`.
    fn results(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        self.network.forward(&self.input(x)?, mode)?.reshape(((), self.config.discriminator_results()))
    }

    /// The largest magnitude that any layer gives in evaluation, the logit included. `x: [B, C, H, W]`.
    ///
    /// # Errors
    /// Another shape of `x`.
    pub fn largest_activation(&self, x: &Tensor) -> candle_core::Result<f32> {
        let whole = x.dim(0)? / self.config.discriminator.pack * self.config.discriminator.pack;
        self.network.largest_activation(&self.input(&x.narrow(0, 0, whole)?)?)
    }

    /// `x` as the first layer takes it.
    fn input(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        if x.dims().get(1..) != Some(&self.config.image_shape()[..]) {
            candle_core::bail!("images: expected [_, {:?}], found {:?}", self.config.image_shape(), x.dims())
        }
        let count = x.dim(0)?;
        if !count.is_multiple_of(self.config.discriminator.pack) {
            let pack = self.config.discriminator.pack;
            candle_core::bail!(
                "expected a multiple of {pack} images, which the discriminator sees at once, found {count}"
            )
        }
        let samples = [count / self.config.discriminator.pack];
        x.contiguous()?.reshape([&samples, &self.config.discriminator_input()[..]].concat())
    }

    /// Its weights as they are now, for passes off candle's tape: images in, logits out.
    #[must_use]
    pub fn prepare(&self) -> Prepared<'_> {
        let results = [self.config.discriminator_results()];
        let prepared = self.network.prepare(&self.config.discriminator_input(), &results);
        prepared.packed(self.config.discriminator.pack)
    }

    /// One power iteration of every spectral norm, to be done before each update; PyTorch does it in each forward pass in
    /// training.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn iterate_power(&self) -> candle_core::Result<()> {
        self.network.iterate_power()
    }

    /// Whether a sample's logit depends on the others in training, by batch norm or minibatch standard deviation.
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
