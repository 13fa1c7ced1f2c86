//! One step of the game.

use crate::config::TrainConfig;
use crate::ema::Ema;
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::norms::Norms;
use crate::optim::Adam;
use crate::penalty::{self, ZeroCentered};
use crate::phases::Phases;
use candle_core::{Device, Tensor, Var};
use gan_models::{Batch, Discriminator, Generator, Gradients, ModelConfig, Params, Pass, Wanted};
use gan_ops::rng::Stream;
use std::borrow::Cow;

/// Two networks, their optimizers, and how often they have moved.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) generator: Generator,
    pub(crate) discriminator: Discriminator,
    pub(crate) adam_g: Adam,
    pub(crate) adam_d: Adam,
    pub(crate) ema: Option<Ema>,
    gradients_g: Gradients,
    gradients_d: Gradients,
    config: TrainConfig,
    seed: u64,
    pub(crate) step: u64,
    device: Device,
    phases: Phases,
}

/// What one step says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// What D minimised, penalties included.
    pub d_loss: f32,
    /// The penalties' part of it.
    pub penalty: f32,
    /// What G minimised, through the updated D.
    pub g_loss: f32,
    /// How sure D is of the real and of the fake images before its update ([`Loss::certainty`]); for cross-entropy the
    /// means of `sigmoid(D(x))` and `sigmoid(D(G(z)))`.
    pub certainty: Option<[f32; 2]>,
    /// Largest magnitude of D's logits on both batches, before its update.
    pub largest_logit: f32,
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
        if let Some(field) = train.needs_lone_samples().filter(|_| discriminator.couples_samples()) {
            let problem = "batch norm in the discriminator couples the samples, so that there is no gradient of one \
                           sample's logit: model.discriminator.norm = \"none\"";
            return Err(TrainError::config(field, problem));
        }
        Ok(Self {
            ema: train.ema.map(|config| Ema::new(config, &generator)).transpose()?,
            gradients_g: generator.gradients()?,
            gradients_d: discriminator.gradients()?,
            adam_g: Adam::new(generator.params(), train.generator.adam())?,
            adam_d: Adam::new(discriminator.params(), train.discriminator.adam())?,
            device: generator.device().clone(),
            generator,
            discriminator,
            config: train.clone(),
            seed,
            step: 0,
            phases: Phases::new(),
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
        let mut phases = Phases::new();
        let (real, z) = (Batch::new(real)?, self.generator.latents(z)?);
        phases.end("data");
        let generator = self.generator.prepare();
        let fake = generator.forward(&z)?;
        phases.end("G forward");

        // D, to which the fake images are constants: nothing goes back into G.
        self.discriminator.iterate_power()?;
        let discriminator = self.discriminator.prepare();
        let on_real = discriminator.forward(&real)?;
        let on_fake = discriminator.forward(fake.output())?;
        let (real_logits, fake_logits) = (on_real.logits()?, on_fake.logits()?);
        phases.end("D forward");
        let TrainConfig { loss, label_smoothing, r1, r2, gradient_penalty, weight_clip, .. } = &self.config;
        let (d_loss, [real_slope, fake_slope]) =
            with_slopes([&real_logits, &fake_logits], |[real, fake]| {
                loss.discriminator(real, fake, *label_smoothing)
            })?;
        self.check("d_loss", d_loss)?;
        let sums = &mut self.gradients_d;
        sums.clear();
        let due = |penalty: &Option<ZeroCentered>| penalty.and_then(|penalty| penalty.due(self.step - 1));
        let mut penalty = backward(on_real, &real_slope, due(r1), sums)?;
        penalty += backward(on_fake, &fake_slope, due(r2), sums)?;
        phases.end("D backward");
        if let Some(one_centered) = gradient_penalty {
            let points = one_centered.points(&real, fake.output(), self.seed, self.step - 1)?;
            let slope = discriminator.forward(&points)?.slope()?;
            let found = penalty::one_centered(one_centered.weight, &slope.gradient().squares()?);
            let direction = slope.gradient().combine(&found.factors, None)?;
            slope.backward(&direction, None, sums)?;
            penalty += found.value;
            phases.end("D gradient penalty");
        }
        let penalty = penalty as f32;
        self.check("the penalty on D's gradient", penalty)?;
        self.adam_d.step(&self.gradients_d)?;
        if let Some(limit) = *weight_clip {
            self.discriminator.params().clamp(limit)?;
        }
        phases.end("D update");

        // G, through the updated D, which takes no gradient itself.
        let discriminator = self.discriminator.prepare();
        let again = if loss.is_paired() { Some(discriminator.forward(&real)?.logits()?) } else { None };
        let on_fake = discriminator.forward(fake.output())?;
        phases.end("D forward in G's step");
        let (g_loss, [slope]) = with_slopes([&on_fake.logits()?], |[fake]| {
            loss.generator(again.as_ref().unwrap_or(&real_logits), fake)
        })?;
        self.check("g_loss", g_loss)?;
        self.gradients_g.clear();
        let to_images = on_fake.backward(&slope, None, Wanted::Input)?;
        phases.end("D backward in G's step");
        if let Some(to_images) = to_images {
            fake.backward(&to_images, Some(&mut self.gradients_g), Wanted::Nothing)?;
        }
        phases.end("G backward");
        self.adam_g.step(&self.gradients_g)?;
        if let Some(ema) = &mut self.ema {
            let batch = real.samples()?;
            ema.update(&self.generator, (self.step - 1) * batch as u64, batch)?;
        }
        phases.end("G update");
        self.phases = phases;

        Ok(StepReport {
            step: self.step,
            d_loss: d_loss + penalty,
            penalty,
            g_loss,
            certainty: self.config.loss.certainty(&real_logits.to_vec1()?, &fake_logits.to_vec1()?),
            largest_logit: largest(&real_logits)?.max(largest(&fake_logits)?),
        })
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

    fn check(&self, name: &str, value: f32) -> Result<()> {
        if value.is_finite() {
            return Ok(());
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

    /// How long each part of the last step took; none before the first.
    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The generator's weights, last gradient and last update.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn norms_g(&self) -> Result<Norms> {
        Norms::new(self.generator.params(), &self.gradients_g, &self.adam_g)
    }

    /// The discriminator's weights, last gradient and last update.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn norms_d(&self) -> Result<Norms> {
        Norms::new(self.discriminator.params(), &self.gradients_d, &self.adam_d)
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

    /// The generator to draw from: the average of its states if there is one, else its present state.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn sampler(&self) -> Result<Cow<'_, Generator>> {
        Ok(match &self.ema {
            Some(ema) => Cow::Owned(ema.sampler(self.seed)?),
            None => Cow::Borrowed(&self.generator),
        })
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
        self.config.loss
    }
}

/// A loss of logits, and its gradient with respect to each of them.
fn with_slopes<const N: usize>(
    logits: [&Tensor; N],
    loss: impl FnOnce([&Tensor; N]) -> candle_core::Result<Tensor>,
) -> Result<(f32, [Batch; N])> {
    let vars = logits.iter().map(|l| Var::from_tensor(l)).collect::<candle_core::Result<Vec<_>>>()?;
    let loss = loss(std::array::from_fn(|i| vars[i].as_tensor()))?;
    let value = loss.to_scalar()?;
    let mut slopes = loss.backward()?;
    let slope = |var: &Var| match slopes.remove(var) {
        Some(slope) => Batch::new(&slope.reshape(((), 1))?),
        None => Batch::new(&var.zeros_like()?.reshape(((), 1))?),
    };
    let slopes = vars.iter().map(slope).collect::<candle_core::Result<Vec<_>>>()?;
    let slopes =
        slopes.try_into().map_err(|_| candle_core::Error::Msg("one gradient for each tensor".into()))?;
    Ok((value, slopes))
}

/// Adds the gradients of a loss, whose gradient with respect to the logits is `results`, and of a penalty with that weight
/// if there is one; returns the penalty.
fn backward(pass: Pass<'_>, results: &Batch, gamma: Option<f64>, sums: &mut Gradients) -> Result<f64> {
    let Some(gamma) = gamma else {
        pass.backward(results, Some(sums), Wanted::Nothing)?;
        return Ok(0.);
    };
    let slope = pass.slope()?;
    let penalty = penalty::zero_centered(gamma, &slope.gradient().squares()?);
    let direction = slope.gradient().combine(&penalty.factors, None)?;
    slope.backward(&direction, Some(results), sums)?;
    Ok(penalty.value)
}

fn largest(logits: &Tensor) -> Result<f32> {
    Ok(logits.to_vec1::<f32>()?.into_iter().fold(0., |most, logit| logit.abs().max(most)))
}

#[cfg(test)]
mod tests;
