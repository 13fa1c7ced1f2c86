//! Symptoms in the two networks.

use super::{Check, Symptom};
use crate::health::vitals::{Baseline, Vitals};

/// Growth of the weights, relative to their norm before the first step.
const GROWTH: f64 = 20.;
const LARGE_LOGIT: f64 = 1e3;
const LARGE_ACTIVATION: f64 = 1e4;

pub(super) fn divergence(baseline: &Baseline, history: &[Check]) -> Option<Symptom> {
    let (_, now) = history.last()?;
    let growth = [now.generator.weight / baseline.weights[0], now.discriminator.weight / baseline.weights[1]];
    let (logit, activation) = (now.losses.largest_logit, now.largest_activation);
    let small = growth.iter().all(|g| *g < GROWTH) && logit < LARGE_LOGIT && activation < LARGE_ACTIVATION;
    // The comparison is written this way so that NaN counts as large.
    if small {
        return None;
    }
    Some(Symptom::now(format!(
        "weights have grown {}-fold (G) and {}-fold (D), the largest logit is {}, the largest activation {}",
        short(growth[0]),
        short(growth[1]),
        short(logit),
        short(activation)
    )))
}

/// Formats a number of any size in a few digits.
fn short(value: f64) -> String {
    if value.abs() < 1e5 { format!("{value:.1}") } else { format!("{value:.1e}") }
}

/// This is about the rounding of f32. At smaller updates, most weights do not change at all.
const STILL: f64 = 1e-7;

pub(super) fn generator_frozen(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    frozen(history.last()?.1.generator.update)
}

pub(super) fn discriminator_frozen(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    frozen(history.last()?.1.discriminator.update)
}

fn frozen(update: f64) -> Option<Symptom> {
    if update >= STILL {
        return None;
    }
    Some(Symptom::now(format!("an update is {update:.0e} of the weights, where 1e-3 is usual")))
}

const SURE_REAL: f64 = 0.95;
const SURE_FAKE: f64 = 0.05;

/// How sure D is of real images and of fakes, if it recognises nearly all of them.
fn sure(vitals: &Vitals) -> Option<(f64, f64)> {
    let certainty = vitals.losses.d_real.zip(vitals.losses.d_fake);
    certainty.filter(|(real, fake)| *real > SURE_REAL && *fake < SURE_FAKE)
}

pub(super) fn discriminator_won(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    let (_, now) = history.last()?;
    let losses = &now.losses;
    let (real, fake) = sure(now)?;
    Some(Symptom::now(format!(
        "D(x) is {real:.3} and D(G(z)) {fake:.3} on average, d_loss {:.3}, g_loss {:.1}",
        losses.d_loss, losses.g_loss
    )))
}

/// Limits of a vanishing gradient. The first is a share of the generator's largest gradient so
/// far, and the second is a share of its weights.
const FADED: f64 = 0.01;
const FAINT: f64 = 1e-3;

pub(super) fn vanishing_gradients(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    let (_, now) = history.last()?;
    let largest = history.iter().map(|(_, v)| v.generator.gradient).fold(0., f64::max);
    let gradient = now.generator.gradient;
    let (real, fake) = sure(now)?;
    if gradient >= FADED * largest && gradient >= FAINT {
        return None;
    }
    Some(Symptom::now(format!(
        "the generator's gradient is {gradient:.0e} of its weights and was {largest:.0e}; D(x) is \
         {real:.3}, D(G(z)) {fake:.4}"
    )))
}
