//! One update of D, and one update of G.

use super::{Learner, finite};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::penalty::{self, ZeroCentered};
use crate::phases::Phases;
use crate::views::Views;
use candle_core::{Tensor, Var};
use gan_models::{Batch, Discriminator, Draws, Generator, Gradients, Pass, Prepared, Wanted};

/// What the updates of one step share: both players and the configuration.
pub(super) struct Game<'a> {
    pub(super) generator: &'a Generator,
    pub(super) discriminator: &'a Discriminator,
    pub(super) config: &'a TrainConfig,
    pub(super) views: Views<'a>,
    /// Number of the step, from 1.
    pub(super) step: u64,
}

/// Real images for D, with their classes if the model has classes.
pub(super) struct Seen<'a> {
    pub(super) images: Batch,
    pub(super) labels: Option<&'a [u16]>,
}

/// What one update of one player uses.
pub(super) struct Turn<'a> {
    pub(super) learner: &'a mut Learner,
    /// Number of the player's update, from 0. Updates of earlier steps count too.
    pub(super) update: u64,
    pub(super) phases: &'a mut Phases,
}

/// The measurements of one update of D. [`StepReport`](super::StepReport) has the same fields.
pub(super) struct Judged {
    pub(super) loss: f32,
    pub(super) penalty: f32,
    pub(super) certainty: Option<[f32; 2]>,
    pub(super) largest_logit: f32,
}

impl Game<'_> {
    /// Updates D, which learns to distinguish `real` from `fake`.
    pub(super) fn update_d(
        &self,
        Turn { learner, update, phases }: Turn<'_>,
        Seen { images: real, labels }: &Seen<'_>,
        fake: &Batch,
    ) -> Result<Judged> {
        let TrainConfig { loss, label_smoothing, r1, r2, gradient_penalty, weight_clip, .. } = self.config;
        let [of_real, of_fake] = ["D's real", "D's fake"];
        let real = &*self.views.draw(of_real, update, real)?.show(real)?;
        let fake = &*self.views.draw(of_fake, update, fake)?.show(fake)?;
        self.discriminator.iterate_power()?;
        let discriminator = self.discriminator.prepare()?;
        let on = |images: &Batch, purpose| {
            forward(&discriminator, images, *labels, self.views.draws(purpose, update))
        };
        let (on_real, on_fake) = (on(real, of_real)?, on(fake, of_fake)?);
        let (real_logits, fake_logits) = (on_real.logits()?, on_fake.logits()?);
        phases.end("D forward");
        let (d_loss, [real_slope, fake_slope]) =
            with_slopes([&real_logits, &fake_logits], |[real, fake]| {
                loss.discriminator(real, fake, *label_smoothing)
            })?;
        self.check("d_loss", d_loss)?;
        let sums = &mut learner.gradients;
        sums.clear();
        let due = |penalty: &Option<ZeroCentered>| {
            penalty.and_then(|penalty| penalty.due(update, self.views.images))
        };
        let mut penalty = backward(on_real, &real_slope, due(r1), sums)?;
        penalty += backward(on_fake, &fake_slope, due(r2), sums)?;
        phases.end("D backward");
        if let Some(one_centered) = gradient_penalty {
            let pack = self.discriminator.config().discriminator.pack;
            let points = one_centered.points([real, fake], pack, self.views.seed, update)?;
            let slope = on(&points, "D's penalty")?.slope()?;
            let found = penalty::one_centered(one_centered.weight, &slope.gradient().squares()?);
            let direction = slope.gradient().combine(&found.factors, None)?;
            slope.backward(&direction, None, sums)?;
            penalty += found.value;
            phases.end("D gradient penalty");
        }
        let penalty = penalty as f32;
        self.check("the penalty on D's gradient", penalty)?;
        learner
            .optimizer
            .step_with(&learner.gradients, self.config.discriminator.hyper(self.views.images))?;
        if let Some(limit) = *weight_clip {
            self.discriminator.params().clamp(limit)?;
        }
        phases.end("D update");
        Ok(Judged {
            loss: d_loss + penalty,
            penalty,
            certainty: loss.certainty(&real_logits.to_vec1()?, &fake_logits.to_vec1()?),
            largest_logit: largest(&real_logits)?.max(largest(&fake_logits)?),
        })
    }

    /// Updates G with D's logits for G's images `fake`, and returns G's loss. D's weights do not
    /// change. A paired loss needs `real` too.
    pub(super) fn update_g(
        &self,
        Turn { learner, update, phases }: Turn<'_>,
        discriminator: &Prepared<'_>,
        Seen { images: real, labels }: &Seen<'_>,
        fake: Pass<'_>,
    ) -> Result<f32> {
        let loss = self.config.loss;
        let [of_real, of_fake] = ["G's real", "G's fake"];
        let on = |images: &Batch, purpose| {
            forward(discriminator, images, *labels, self.views.draws(purpose, update))
        };
        let on_real = if loss.is_paired() {
            let real = self.views.draw(of_real, update, real)?.show(real)?;
            Some(on(&real, of_real)?.logits()?)
        } else {
            None
        };
        let view = self.views.draw(of_fake, update, fake.output())?;
        let shown = view.show(fake.output())?;
        let on_fake = on(&shown, of_fake)?;
        phases.end("D forward in G's step");
        let (g_loss, [slope]) = with_slopes([&on_fake.logits()?], |[fake]| {
            loss.generator(on_real.as_ref().unwrap_or(fake), fake)
        })?;
        self.check("g_loss", g_loss)?;
        learner.gradients.clear();
        let to_seen = on_fake.backward(&slope, None, Wanted::Input)?;
        phases.end("D backward in G's step");
        if let Some(to_seen) = to_seen {
            fake.backward(&view.back(to_seen)?, Some(&mut learner.gradients), Wanted::Nothing)?;
        }
        phases.end("G backward");
        learner.optimizer.step_with(&learner.gradients, self.config.generator.hyper(self.views.images))?;
        phases.end("G update");
        Ok(g_loss)
    }

    fn check(&self, name: &str, value: f32) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let diagnosis = finite::diagnosis(self.generator, self.discriminator)?;
        Err(TrainError::NonFinite { step: self.step, what: format!("{name} = {value}"), diagnosis })
    }
}

/// Makes D's forward pass over images, with their classes if `labels` is given.
fn forward<'a>(
    discriminator: &'a Prepared<'a>,
    images: &Batch,
    labels: Option<&[u16]>,
    draws: Draws,
) -> candle_core::Result<Pass<'a>> {
    let pass = discriminator.forward(images, draws)?;
    match labels {
        Some(labels) => pass.of_classes(labels),
        None => Ok(pass),
    }
}

/// Computes a loss of logits, and its gradient with respect to each of them.
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

/// Makes D's backward pass and returns the penalty. `results` is the gradient of a loss with
/// respect to the logits. If `gamma` is given, there is a penalty with this weight. Adds the
/// gradients of both to `sums`.
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
