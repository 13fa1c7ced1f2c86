//! The network from an image to a logit.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::latents::check_labels;
use crate::mode::Mode;
use crate::params::Params;
use crate::pass::Prepared;
use crate::sequential::Sequential;
use candle_core::{Device, Tensor};
use gan_ops::AllReduce;
use std::collections::HashMap;
use std::sync::Arc;

/// `D(x)` without the sigmoid at the end: it returns logits.
#[derive(Debug, Clone)]
pub struct Discriminator {
    config: ModelConfig,
    network: Sequential,
    params: Params,
}

impl Discriminator {
    /// Makes a discriminator with fresh weights. They are a pure function of `config` and `seed`.
    ///
    /// # Errors
    /// A configuration that [`ModelConfig::validate`] refuses.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self> {
        config.validate()?;
        let (network, params) =
            Sequential::seeded(&config.discriminator_layers(), seed, "discriminator", device)?;
        Ok(Self { config: config.clone(), network, params })
    }

    /// Makes a discriminator with the weights of a PyTorch state dict (`model.0.weight`, ...).
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
        let (network, params) = Sequential::from_tensors(&config.discriminator_layers(), tensors, device)?;
        Ok(Self { config: config.clone(), network, params })
    }

    /// `x: [B, C, H, W]` in [-1, 1]; returns logits `[B]`. With `pack`, it returns one logit for
    /// each `pack` images.
    ///
    /// # Errors
    /// Another shape of `x`; a model with classes, because it needs labels
    /// ([`Self::forward_of`]); in [`Mode::Train`], a batch norm over a single value.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        if let Some(classes) = self.config.classes {
            candle_core::bail!("expected labels: the discriminator knows {classes} classes")
        }
        self.results(x, mode)?.flatten_all()
    }

    /// [`Self::forward`] for a model with classes: are `x` real images of their `labels`? It is
    /// the projection of Miyato and Koyama 2018 (arXiv 1802.05637, equation 6). The class
    /// embedding is the rows after the first of the last layer's weight. There are two
    /// differences from the paper: each class has a bias if the last layer has biases, and
    /// spectral norm takes all rows together.
    ///
    /// # Errors
    /// The errors of [`Self::forward`]; a number of labels that is not the number of samples; a
    /// label that is no class.
    pub fn forward_of(&self, x: &Tensor, labels: &[u16], mode: Mode) -> candle_core::Result<Tensor> {
        let (results, classes) = (self.results(x, mode)?, self.config.classes.unwrap_or(0));
        check_labels(labels, results.dim(0)?, classes)?;
        let places: Vec<u32> = labels.iter().map(|&label| 1 + u32::from(label)).collect();
        let places = Tensor::new(places, x.device())?.unsqueeze(1)?;
        let of_class = results.gather(&places, 1)?;
        (results.narrow(1, 0, 1)? + of_class)?.squeeze(1)
    }

    /// All results of the last layer, `[B, results]`.
    fn results(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        self.network.forward(&self.input(x)?, mode)?.reshape(((), self.config.discriminator_results()))
    }

    /// The largest magnitude in the output of any layer in evaluation, the logit included.
    /// `x: [B, C, H, W]`.
    ///
    /// # Errors
    /// Another shape of `x`.
    pub fn largest_activation(&self, x: &Tensor) -> candle_core::Result<f32> {
        let whole = x.dim(0)? / self.config.discriminator.pack * self.config.discriminator.pack;
        self.network.largest_activation(&self.input(&x.narrow(0, 0, whole)?)?)
    }

    /// Gives `x` the shape that the first layer takes.
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

    /// Prepares passes with the present weights that are not on candle's tape. They take images
    /// and return logits.
    ///
    /// # Errors
    /// None in practice.
    pub fn prepare(&self) -> candle_core::Result<Prepared<'_>> {
        let results = [self.config.discriminator_results()];
        let prepared = self.network.prepare(&self.config.discriminator_input(), &results)?;
        Ok(prepared.packed(self.config.discriminator.pack))
    }

    /// Makes one power iteration of every spectral norm. Call it before each update. PyTorch
    /// makes one in each forward pass in training.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn iterate_power(&self) -> candle_core::Result<()> {
        self.network.iterate_power()
    }

    /// Whether a sample's logit depends on the other samples in training. Batch norm and
    /// minibatch standard deviation cause this.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.network.couples_samples()
    }

    /// The reason why there can be no penalty on D's gradient. It names the layer that has no
    /// second order. `None` if a penalty is possible.
    #[must_use]
    pub fn refuses_penalties(&self) -> Option<&str> {
        self.network.refuses_penalties()
    }

    /// The same network, with the same weights, as a rank of a group. In training, batch norm computes its
    /// statistics over the samples of all `ranks` together, which must make the same passes in the same order.
    ///
    /// # Errors
    /// None in practice.
    pub fn over_ranks(self, ranks: Arc<dyn AllReduce>) -> candle_core::Result<Self> {
        let network = Sequential::shared(&self.config.discriminator_layers(), &self.params, ranks)?;
        Ok(Self { network, ..self })
    }

    /// Zero gradients for the trainable parameters.
    #[must_use]
    pub fn gradients(&self) -> Gradients {
        Gradients::new(&self.params)
    }

    /// The configuration that the discriminator was built from.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The weights and running statistics.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Draws;
    use crate::preset;

    #[test]
    fn logits_are_one_per_image() {
        for config in [preset::mlp_001(), preset::mlp_003(9), preset::dcgan_28()] {
            let discriminator = Discriminator::new(&config, 1, &Device::Cpu).unwrap();
            let x = Tensor::zeros((3, 1, 28, 28), candle_core::DType::F32, &Device::Cpu).unwrap();
            assert_eq!(discriminator.forward(&x, Mode::Train(Draws::default())).unwrap().dims(), [3]);
            assert!(
                discriminator.forward(&x.flatten_from(1).unwrap(), Mode::Train(Draws::default())).is_err()
            );
        }
    }
}
