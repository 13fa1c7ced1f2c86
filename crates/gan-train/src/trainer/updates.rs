//! One update of D, and one update of G.

use super::Learner;
use super::game::Game;
use super::parts::Part;
use super::statistics::Statistics;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::penalty::{self, Points, ZeroCentered};
use crate::phases::Phases;
use candle_core::{Tensor, Var};
use gan_models::{Batch, Draws, Gradients, Pass, Prepared, Wanted};

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

/// Real images, and fake ones with their pass.
pub(super) type Images<'a, 'p> = (Seen<'a>, Pass<'p>);

/// What a part of an update of D uses.
struct PartOfD<'a> {
    part: Part,
    update: u64,
    /// The standard deviation of the real images of the batch, if a penalty needs it.
    deviation: f32,
    discriminator: &'a Prepared<'a>,
}

/// The measurements of an update, added over the parts of the batch. For D,
/// [`StepReport`](super::StepReport) has the same fields. For G, only the loss is used.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) loss: f32,
    pub(super) penalty: f32,
    pub(super) certainty: Option<[f32; 2]>,
    pub(super) largest_logit: f32,
}

const OF_REAL: &str = "D's real";
const OF_FAKE: &str = "D's fake";
const FAKE_FOR_D: &str = "fake for D";

impl<'a> Game<'a> {
    /// Makes an update of D, which learns to distinguish batch `i` of the step from `generator`'s images.
    /// Returns the images too if they are one part.
    pub(super) fn update_d<'p>(
        &self,
        Turn { learner, update, phases }: Turn<'_>,
        generator: &'p Prepared<'p>,
        i: u64,
    ) -> Result<(Judged, Option<Images<'a, 'p>>)> {
        let gradients = &mut learner.gradients;
        let around_real =
            self.config.gradient_penalty.is_some_and(|penalty| penalty.at == Points::AroundReal);
        let deviation = if around_real { self.deviation(OF_REAL, update, i)? } else { 0. };
        self.discriminator.iterate_power()?;
        gradients.clear();
        let discriminator = self.discriminator.prepare()?;
        phases.end("D forward");
        let (mut judged, mut last) = (Judged::default(), None);
        for part in self.division.parts() {
            let real = self.real(part, i)?;
            let z = self.latents(part, i, real.labels)?;
            phases.end("data");
            let fake = generator.forward(&z, self.views(part).draws(FAKE_FOR_D, update))?;
            phases.end("G forward");
            let turn = PartOfD { part, update, deviation, discriminator: &discriminator };
            self.judge(turn, &real, fake.output(), (gradients, &mut judged), phases)?;
            // Other parts are drawn again for G, so that there is only one in memory.
            last = self.division.is_whole().then_some((real, fake));
        }
        self.add_ranks(gradients, &mut judged)?;
        self.check("d_loss", judged.loss)?;
        self.check("the penalty on D's gradient", judged.penalty)?;
        judged.loss += judged.penalty;
        learner.optimizer.step_with(&learner.gradients, self.config.discriminator.hyper(self.images))?;
        if let Some(limit) = self.config.weight_clip {
            self.discriminator.params().clamp(limit)?;
        }
        phases.end("D update");
        Ok((judged, last))
    }

    /// Adds the gradients and the measurements of one part of an update of D.
    fn judge(
        &self,
        PartOfD { part, update, deviation, discriminator }: PartOfD<'_>,
        Seen { images: real, labels }: &Seen<'_>,
        fake: &Batch,
        (sums, judged): (&mut Gradients, &mut Judged),
        phases: &mut Phases,
    ) -> Result<()> {
        let TrainConfig { loss, label_smoothing, r1, r2, gradient_penalty, .. } = self.config;
        let (views, weight) = (self.views(part), self.division.weight());
        let real = &*views.draw(OF_REAL, update)?.show(real)?;
        let fake = &*views.draw(OF_FAKE, update)?.show(fake)?;
        let on =
            |images: &Batch, purpose| forward(discriminator, images, *labels, views.draws(purpose, update));
        let (on_real, on_fake) = (on(real, OF_REAL)?, on(fake, OF_FAKE)?);
        let (real_logits, fake_logits) = (on_real.logits()?, on_fake.logits()?);
        phases.end("D forward");
        let (d_loss, [real_slope, fake_slope]) =
            with_slopes([&real_logits, &fake_logits], weight, |[real, fake]| {
                loss.discriminator(real, fake, *label_smoothing)
            })?;
        let due = |penalty: &Option<ZeroCentered>| {
            penalty.and_then(|penalty| penalty.due(update, self.images)).map(|gamma| gamma * weight)
        };
        let mut penalty = backward(on_real, &real_slope, due(r1), sums)?;
        penalty += backward(on_fake, &fake_slope, due(r2), sums)?;
        phases.end("D backward");
        if let Some(one_centered) = gradient_penalty {
            let pack = self.discriminator.config().discriminator.pack;
            let points = one_centered.points([real, fake], deviation, pack, self.seed, (update, part))?;
            let slope = on(&points, "D's penalty")?.slope()?;
            let found = penalty::one_centered(one_centered.weight * weight, &slope.gradient().squares()?);
            let direction = slope.gradient().combine(&found.factors, None)?;
            slope.backward(&direction, None, sums)?;
            penalty += found.value;
            phases.end("D gradient penalty");
        }
        judged.loss += d_loss;
        judged.penalty += penalty as f32;
        let certainty = loss.certainty(&real_logits.to_vec1()?, &fake_logits.to_vec1()?);
        judged.certainty = certainty.map(|certainty| {
            let before = judged.certainty.unwrap_or_default();
            [0, 1].map(|i| before[i] + certainty[i] * weight as f32)
        });
        judged.largest_logit = judged.largest_logit.max(largest(&real_logits)?).max(largest(&fake_logits)?);
        Ok(())
    }

    /// Makes update `i` of G in the step, with D's logits for G's images, and returns G's loss. D's
    /// weights do not change. `last` are the images of D's last update if they are the whole batch.
    pub(super) fn update_g(
        &self,
        Turn { learner, update, phases }: Turn<'_>,
        discriminator: &Prepared<'_>,
        i: u64,
        mut last: Option<Images<'_, '_>>,
    ) -> Result<f32> {
        learner.gradients.clear();
        let mut judged = Judged::default();
        let generator = if last.is_none() { Some(self.generator.prepare()?) } else { None };
        // G's first update uses the images of D's last update. If they were computed in parts, they are
        // computed again, but batch norm's statistics have seen them.
        let again = i == 0 && generator.is_some();
        let statistics = again.then(|| Statistics::of(self.generator.params())).transpose()?;
        for part in self.division.parts() {
            let images = match &generator {
                Some(generator) => Some(self.images_of_g(generator, part, (i, update), phases)?),
                None => last.take(),
            };
            let Some((real, fake)) = images else { break };
            judged.loss += self.convince(discriminator, (part, update), &real, fake, learner, phases)?;
        }
        if let Some(statistics) = statistics {
            statistics.restore()?;
        }
        self.add_ranks(&mut learner.gradients, &mut judged)?;
        self.check("g_loss", judged.loss)?;
        learner.optimizer.step_with(&learner.gradients, self.config.generator.hyper(self.images))?;
        phases.end("G update");
        Ok(judged.loss)
    }

    /// Draws the images of a part for update `i` of G in the step, and finds the real images beside them.
    fn images_of_g<'p>(
        &self,
        generator: &'p Prepared<'p>,
        part: Part,
        (i, update): (u64, u64),
        phases: &mut Phases,
    ) -> Result<Images<'a, 'p>> {
        let last_of_d = self.config.d_steps - 1;
        let real = self.real(part, last_of_d)?;
        let z = self.latents(part, last_of_d + i, real.labels)?;
        phases.end("data");
        let (purpose, update) = match i {
            0 => (FAKE_FOR_D, self.step * self.config.d_steps - 1),
            _ => ("fake for G", update),
        };
        let fake = generator.forward(&z, self.views(part).draws(purpose, update))?;
        phases.end("G forward");
        Ok((real, fake))
    }

    /// Adds G's gradients for one part of an update, and returns the part's share of the loss.
    fn convince(
        &self,
        discriminator: &Prepared<'_>,
        (part, update): (Part, u64),
        Seen { images: real, labels }: &Seen<'_>,
        fake: Pass<'_>,
        learner: &mut Learner,
        phases: &mut Phases,
    ) -> Result<f32> {
        let (loss, views) = (self.config.loss, self.views(part));
        let [of_real, of_fake] = ["G's real", "G's fake"];
        let on =
            |images: &Batch, purpose| forward(discriminator, images, *labels, views.draws(purpose, update));
        let on_real = if loss.is_paired() {
            let real = views.draw(of_real, update)?.show(real)?;
            Some(on(&real, of_real)?.logits()?)
        } else {
            None
        };
        let view = views.draw(of_fake, update)?;
        let shown = view.show(fake.output())?;
        let on_fake = on(&shown, of_fake)?;
        phases.end("D forward in G's step");
        let (g_loss, [slope]) = with_slopes([&on_fake.logits()?], self.division.weight(), |[fake]| {
            loss.generator(on_real.as_ref().unwrap_or(fake), fake)
        })?;
        let to_seen = on_fake.backward(&slope, None, Wanted::Input)?;
        phases.end("D backward in G's step");
        if let Some(to_seen) = to_seen {
            fake.backward(&view.back(to_seen)?, Some(&mut learner.gradients), Wanted::Nothing)?;
        }
        phases.end("G backward");
        Ok(g_loss)
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

/// Computes a loss of logits times `weight`, and its gradient with respect to each of them.
fn with_slopes<const N: usize>(
    logits: [&Tensor; N],
    weight: f64,
    loss: impl FnOnce([&Tensor; N]) -> candle_core::Result<Tensor>,
) -> Result<(f32, [Batch; N])> {
    let vars = logits.iter().map(|l| Var::from_tensor(l)).collect::<candle_core::Result<Vec<_>>>()?;
    let loss = (loss(std::array::from_fn(|i| vars[i].as_tensor()))? * weight)?;
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
