//! One step of the game.

use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::optim::Adam;
use candle_core::{Device, Tensor};
use gan_models::{Discriminator, Generator, Mode, ModelConfig, Params};
use gan_ops::{rng::Stream, sigmoid};

/// Two networks, their optimizers, and how often they have moved.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) generator: Generator,
    pub(crate) discriminator: Discriminator,
    /// D's weights as constants, for G's step.
    frozen_discriminator: Discriminator,
    pub(crate) adam_g: Adam,
    pub(crate) adam_d: Adam,
    loss: Loss,
    seed: u64,
    pub(crate) step: u64,
    device: Device,
}

/// What one step says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// What D minimised.
    pub d_loss: f32,
    /// What G minimised, through the updated D.
    pub g_loss: f32,
    /// Mean of `sigmoid(D(x))` before D's update: 1 where D is sure of the real images.
    pub d_real: f32,
    /// Mean of `sigmoid(D(G(z)))` before D's update: 0 where D is sure of the fakes.
    pub d_fake: f32,
}

impl Trainer {
    /// Fresh networks: a pure function of the configuration and `seed`.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn new(model: &ModelConfig, train: &TrainConfig, seed: u64, device: &Device) -> Result<Self> {
        let generator = Generator::new(model, seed, device)?;
        let discriminator = Discriminator::new(model, seed, device)?;
        Self::from_parts(generator, discriminator, train, seed)
    }

    /// Trains given networks.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn from_parts(
        generator: Generator,
        discriminator: Discriminator,
        train: &TrainConfig,
        seed: u64,
    ) -> Result<Self> {
        train.validate()?;
        Ok(Self {
            frozen_discriminator: discriminator.frozen()?,
            adam_g: Adam::new(generator.params(), train.generator.adam())?,
            adam_d: Adam::new(discriminator.params(), train.discriminator.adam())?,
            device: generator.device().clone(),
            generator,
            discriminator,
            loss: train.loss,
            seed,
            step: 0,
        })
    }

    /// Algorithm 1 of Goodfellow et al. 2014 (arXiv 1406.2661) with one update of D per update of G:
    /// D on a real batch and on fakes, then G through the updated D on the same fakes.
    ///
    /// `real: [B, C, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Another shape; a loss that is not finite, with a diagnosis.
    pub fn step(&mut self, real: &Tensor) -> Result<StepReport> {
        let z = self.noise(self.step, real.dim(0)?)?;
        self.step_with(real, &z)
    }

    /// [`Self::step`] with the latents given: `z: [B, latent_dim]`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_with(&mut self, real: &Tensor, z: &Tensor) -> Result<StepReport> {
        self.step += 1;
        let fake = self.generator.forward(z, Mode::Train)?;

        let (d_loss, [real_logits, fake_logits]) = self.discriminator_loss(real, &fake)?;
        let d_loss_value = self.finite("d_loss", &d_loss)?;
        self.adam_d.step(&d_loss.backward()?)?;

        let g_loss = self.generator_loss(&fake)?;
        let g_loss_value = self.finite("g_loss", &g_loss)?;
        self.adam_g.step(&g_loss.backward()?)?;

        Ok(StepReport {
            step: self.step,
            d_loss: d_loss_value,
            g_loss: g_loss_value,
            d_real: sigmoid(&real_logits.detach())?.mean_all()?.to_scalar()?,
            d_fake: sigmoid(&fake_logits.detach())?.mean_all()?.to_scalar()?,
        })
    }

    /// What D minimises, and its logits on real and fake images. No gradient reaches G.
    fn discriminator_loss(&self, real: &Tensor, fake: &Tensor) -> Result<(Tensor, [Tensor; 2])> {
        let real_logits = self.discriminator.forward(real, Mode::Train)?;
        let fake_logits = self.discriminator.forward(&fake.detach(), Mode::Train)?;
        Ok((self.loss.discriminator(&real_logits, &fake_logits)?, [real_logits, fake_logits]))
    }

    /// What G minimises. No gradient reaches D.
    fn generator_loss(&self, fake: &Tensor) -> Result<Tensor> {
        Ok(self.loss.generator(&self.frozen_discriminator.forward(fake, Mode::Train)?)?)
    }

    /// The latents of the step after `step` steps: standard normal, `[batch, latent_dim]`, a pure
    /// function of the seed and `step`.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn noise(&self, step: u64, batch: usize) -> Result<Tensor> {
        let shape = (batch, self.generator.config().latent_dim);
        Ok(Stream::new(self.seed, "noise", step).normal(shape, &self.device)?)
    }

    /// Checks every weight and running statistic of both networks.
    ///
    /// # Errors
    /// The first tensor that holds NaN or infinity.
    pub fn check_finite(&self) -> Result<()> {
        match self.first_non_finite()? {
            None => Ok(()),
            Some(what) => Err(TrainError::NonFinite {
                step: self.step,
                what,
                diagnosis: "an update broke it: try a lower lr".into(),
            }),
        }
    }

    fn finite(&self, name: &str, loss: &Tensor) -> Result<f32> {
        let value = loss.to_scalar::<f32>()?;
        if value.is_finite() {
            return Ok(value);
        }
        let diagnosis = match self.first_non_finite()? {
            Some(tensor) => format!("the first broken tensor is {tensor}: try a lower lr"),
            None => "every weight is finite: the images hold NaN, or the logits overflowed (try a lower lr)"
                .into(),
        };
        Err(TrainError::NonFinite { step: self.step, what: format!("{name} = {value}"), diagnosis })
    }

    fn first_non_finite(&self) -> Result<Option<String>> {
        for (player, params) in self.players() {
            if let Some(name) = params.first_non_finite()? {
                return Ok(Some(format!("{player} {name}")));
            }
        }
        Ok(None)
    }

    fn players(&self) -> [(&'static str, &Params); 2] {
        [("generator", self.generator.params()), ("discriminator", self.discriminator.params())]
    }

    /// Steps done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The generator in its present state.
    #[must_use]
    pub fn generator(&self) -> &Generator {
        &self.generator
    }

    /// The discriminator in its present state.
    #[must_use]
    pub fn discriminator(&self) -> &Discriminator {
        &self.discriminator
    }

    /// The generator's optimizer.
    #[must_use]
    pub fn adam_g(&self) -> &Adam {
        &self.adam_g
    }

    /// The discriminator's optimizer.
    #[must_use]
    pub fn adam_d(&self) -> &Adam {
        &self.adam_d
    }

    /// Seed of the run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Objective of the run.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptimizerConfig;
    use gan_models::preset;

    #[test]
    fn no_gradient_reaches_the_other_player() -> Result<()> {
        let player = OptimizerConfig { lr: 2e-4, betas: (0.5, 0.999) };
        let train = TrainConfig::new(1, player);
        let device = Device::Cpu;
        for model in [preset::mlp_002(), preset::dcgan_28()] {
            let trainer = Trainer::new(&model, &train, 0, &device)?;
            let fake = trainer.generator.forward(&trainer.noise(0, 2)?, Mode::Train)?;
            let real = Stream::new(0, "real", 0).uniform(-1., 1., fake.shape(), &device)?;
            let d_grads = trainer.discriminator_loss(&real, &fake)?.0.backward()?;
            let g_grads = trainer.generator_loss(&fake)?.backward()?;
            assert!(trainer.discriminator.params().trainable().all(|(_, var)| d_grads.get(var).is_some()));
            assert!(trainer.generator.params().iter().all(|(_, var)| d_grads.get(var).is_none()));
            assert!(trainer.generator.params().trainable().all(|(_, var)| g_grads.get(var).is_some()));
            assert!(trainer.discriminator.params().iter().all(|(_, var)| g_grads.get(var).is_none()));
        }
        Ok(())
    }
}
