//! The training step.

mod finite;
mod game;
mod parts;
mod report;
mod statistics;
mod updates;

use crate::config::{OptimizerConfig, TrainConfig};
use crate::ema::Ema;
use crate::error::Result;
use crate::examples::Examples;
use crate::group::{Alone, Group, Ranks};
use crate::init::Initial;
use crate::loss::Loss;
use crate::norms::Norms;
use crate::optim::Optimizer;
use crate::phases::Phases;
use candle_core::{Device, Tensor};
use game::Game;
use gan_models::{Discriminator, Generator, Gradients, ModelConfig, Params};
use gan_ops::AllReduce;
use gan_ops::rng::Stream;
use parts::Division;
use std::borrow::Cow;
use std::sync::Arc;
use updates::Turn;

pub(crate) use parts::Part;
pub use report::StepReport;

/// The two networks, their optimizers, and the number of steps done.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) generator: Generator,
    pub(crate) discriminator: Discriminator,
    pub(crate) g: Learner,
    pub(crate) d: Learner,
    pub(crate) ema: Option<Ema>,
    config: TrainConfig,
    group: Arc<dyn Group>,
    /// Number of training images of each class. Empty if it is not known.
    class_counts: Vec<u64>,
    seed: u64,
    pub(crate) step: u64,
    device: Device,
    phases: Phases,
}

/// What one player needs to learn.
#[derive(Debug)]
pub(crate) struct Learner {
    pub(crate) optimizer: Optimizer,
    gradients: Gradients,
}

impl Learner {
    fn new(params: &Params, config: &OptimizerConfig) -> Result<Self> {
        let optimizer = Optimizer::new(params, config.optimizer, config.hyper(0))?;
        Ok(Self { optimizer, gradients: Gradients::new(params) })
    }
}

impl Trainer {
    /// Makes networks before their first step. They are a pure function of the configuration and `seed`,
    /// and of the files of [`TrainConfig::init`] if there is one.
    ///
    /// # Errors
    /// A configuration that cannot be used; weights that cannot be read or do not fit.
    pub fn new(model: &ModelConfig, train: &TrainConfig, seed: u64, device: &Device) -> Result<Self> {
        if let Some(init) = &train.init {
            return Self::from_initial(init.load(model, seed, device)?, train, seed);
        }
        let generator = Generator::new(model, seed, device)?;
        let discriminator = Discriminator::new(model, seed, device)?;
        Self::from_parts(generator, discriminator, train, seed)
    }

    /// Makes a trainer for networks that were trained before. Their average begins with the one of
    /// earlier training.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn from_initial(initial: Initial, train: &TrainConfig, seed: u64) -> Result<Self> {
        let Initial { generator, discriminator, average, .. } = initial;
        let mut trainer = Self::from_parts(generator, discriminator, train, seed)?;
        if let (Some(config), Some(average)) = (train.average(), average) {
            trainer.ema = Some(Ema::from_parts(config, average));
        }
        Ok(trainer)
    }

    /// Makes a trainer for the given networks.
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
        train.validate_for(discriminator.config())?;
        Ok(Self {
            ema: train.average().map(|config| Ema::new(config, &generator)).transpose()?,
            g: Learner::new(generator.params(), &train.generator)?,
            d: Learner::new(discriminator.params(), &train.discriminator)?,
            device: generator.device().clone(),
            generator,
            discriminator,
            config: train.clone(),
            group: Arc::new(Alone),
            class_counts: vec![],
            seed,
            step: 0,
            phases: Phases::new(),
        })
    }

    /// Makes this trainer a rank of a group. All ranks must have the same networks, configuration and
    /// seed, and then their weights stay equal, bit for bit.
    ///
    /// # Errors
    /// None in practice.
    pub fn in_group(mut self, group: Arc<dyn Group>) -> Result<Self> {
        if self.is_synchronised() && group.size() > 1 {
            let ranks: Arc<dyn AllReduce> = Arc::new(Ranks(Arc::clone(&group)));
            self.generator = self.generator.over_ranks(Arc::clone(&ranks))?;
            self.discriminator = self.discriminator.over_ranks(ranks)?;
        }
        self.group = group;
        Ok(self)
    }

    /// Tells how many training images each class has. The statistics of batch norm in the average are then those
    /// of images whose classes are as frequent. Without it, all classes are equally frequent there.
    #[must_use]
    pub fn with_class_counts(self, class_counts: Vec<u64>) -> Self {
        Self { class_counts, ..self }
    }

    /// Number of training images of each class, as [`Self::with_class_counts`] was told.
    #[must_use]
    pub fn class_counts(&self) -> &[u64] {
        &self.class_counts
    }

    fn is_synchronised(&self) -> bool {
        self.generator.config().sync_batch_norm
    }

    /// Makes one step: algorithm 1 of Goodfellow et al. 2014 (arXiv 1406.2661). First there are
    /// `d-steps` updates of D, each on a real batch and on its own fake images. Then there are
    /// `g-steps` updates of G through the updated D. The first of them uses the fake images of
    /// D's last update, and the others use fresh ones.
    ///
    /// `real: [d_steps * B, C, H, W]` in [-1, 1], with labels if the model has classes. Then each
    /// fake image has the class of the real image at the same place. In a group, these are this rank's
    /// shares of the batches, and all ranks' shares have the same size.
    ///
    /// # Errors
    /// Another shape; labels that are missing or are no class; a loss that is not finite, with a
    /// diagnosis; a rank that does not answer.
    pub fn step(&mut self, real: impl Into<Examples>) -> Result<StepReport> {
        let real = real.into();
        let ranks = [self.group.rank(), self.group.size()];
        let batches = self.config.latent_batches();
        let latents = batches * real.images.dim(0)? / self.config.d_steps as usize;
        let z = Division::of_all_ranks(&self.noise(self.step, latents * ranks[1])?, batches, ranks)?;
        self.step_with(real, &z)
    }

    /// [`Self::step`] with given latents: `z: [(d_steps + g_steps - 1) * B, latent_dim]`. The
    /// latents of D's updates come first. In a group, these are this rank's shares.
    ///
    /// # Errors
    /// Errors of [`Self::step`].
    pub fn step_with(&mut self, real: impl Into<Examples>, z: &Tensor) -> Result<StepReport> {
        let examples = real.into();
        examples.check(self.generator.config().classes)?;
        let config = &self.config;
        let batch = config.batch_size(examples.images.dim(0)?, z.dim(0)?)?;
        let division = Division::new([self.group.rank(), self.group.size()], config, batch)?;
        self.discriminator.config().validate_batch(division.samples)?;
        let per_step = examples.images.dim(0)? * self.group.size();
        let before = self.step;
        self.step += 1;
        let mut phases = Phases::new();
        let TrainConfig { d_steps, g_steps, .. } = *config;
        let (generator, discriminator) = (&self.generator, &self.discriminator);
        let game = Game {
            generator,
            discriminator,
            config,
            group: &*self.group,
            division,
            examples: &examples,
            z,
            seed: self.seed,
            images: before * per_step as u64,
            step: self.step,
        };

        // Updates of D. The fake images are constants here, so G gets no gradient.
        let prepared = generator.prepare()?;
        let (mut judged, mut last) = (vec![], None);
        for i in 0..d_steps {
            let turn = Turn { learner: &mut self.d, update: before * d_steps + i, phases: &mut phases };
            let (found, images) = game.update_d(turn, &prepared, i)?;
            judged.push(found);
            last = images;
        }

        // Updates of G through the updated D. D's weights get no gradient.
        let opponent = discriminator.prepare()?;
        let mut g_loss = 0.;
        for i in 0..g_steps {
            let turn = Turn { learner: &mut self.g, update: before * g_steps + i, phases: &mut phases };
            g_loss += game.update_g(turn, &opponent, i, last.take())?;
        }
        // With synchronised batch norm, the ranks have the same statistics already.
        if !self.is_synchronised() {
            statistics::average([generator.params(), discriminator.params()], &*self.group)?;
        }
        if let Some(ema) = &mut self.ema {
            ema.update(generator, game.images, per_step)?;
        }
        phases.end("G update");
        self.phases = phases;
        Ok(StepReport::new(self.step, &judged, g_loss / g_steps as f32))
    }

    /// The latents for the step that follows `step` steps, without labels: `[batch, latent_dim]`
    /// from the model's distribution. They are a pure function of the seed and `step`.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn noise(&self, step: u64, batch: usize) -> Result<Tensor> {
        let mut stream = Stream::new(self.seed, "noise", step);
        Ok(self.generator.config().latents().draw_z(&mut stream, batch, &self.device)?)
    }

    /// Checks every weight and running statistic of both networks.
    ///
    /// # Errors
    /// The first tensor that holds NaN or infinity.
    pub fn check_finite(&self) -> Result<()> {
        finite::check(&self.generator, &self.discriminator, self.step)
    }

    /// How long each part of the last step took. It is empty before the first step.
    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The norms of the generator's weights, last gradient and last update.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn norms_g(&self) -> Result<Norms> {
        Norms::new(self.generator.params(), &self.g.gradients, &self.g.optimizer)
    }

    /// The norms of the discriminator's weights, last gradient and last update.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn norms_d(&self) -> Result<Norms> {
        Norms::new(self.discriminator.params(), &self.d.gradients, &self.d.optimizer)
    }

    /// Number of steps done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The generator in its present state.
    #[must_use]
    pub fn generator(&self) -> &Generator {
        &self.generator
    }

    /// The generator from which images are drawn. It has the average of the weights, if there is
    /// an average, or else the present weights.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn sampler(&self) -> Result<Cow<'_, Generator>> {
        Ok(match &self.ema {
            Some(ema) => Cow::Owned(ema.sampler(self.seed, &self.class_counts)?),
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
    pub fn optimizer_g(&self) -> &Optimizer {
        &self.g.optimizer
    }

    /// The discriminator's optimizer.
    #[must_use]
    pub fn optimizer_d(&self) -> &Optimizer {
        &self.d.optimizer
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

#[cfg(test)]
mod tests;
