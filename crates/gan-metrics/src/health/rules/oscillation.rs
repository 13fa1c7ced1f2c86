//! Symptoms of training that never settles: images or losses that rise and fall.

use super::images::FORMED;
use super::{Check, PATIENCE, Symptom, WINDOW};
use crate::health::vitals::{Baseline, ImageVitals, Vitals};

pub(super) fn oscillating_images(baseline: &Baseline, history: &[Check]) -> Option<Symptom> {
    distances(history).or_else(|| classes(baseline, history))
}

/// Least number of turns of an oscillating distance, and the factor by which a turn changes it.
const TURNS: usize = 3;
const TURN: f64 = 2.;
/// Smaller distances count as this one. So near to the data, chance alone changes the distance of 256
/// images by more than a factor of two: that of real images went from 0.01 to 0.03 and back.
const NEAR: f64 = 0.1;

/// Returns the last [`WINDOW`] checks, but only those since the first images that resembled the
/// data. Before that, a run that moves to and fro is still searching. After the first [`PATIENCE`]
/// checks, every check counts.
fn recent(history: &[Check]) -> Option<&[Check]> {
    let formed = history.iter().position(|(_, v)| v.images.distance < FORMED);
    history.get(formed.unwrap_or(PATIENCE).min(PATIENCE).max(history.len().saturating_sub(WINDOW))..)
}

fn distances(history: &[Check]) -> Option<Symptom> {
    let recent = recent(history)?;
    let distances: Vec<f64> = recent.iter().map(|(_, v)| v.images.distance).collect();
    let turns = turns(distances.iter().map(|distance| distance.max(NEAR)), TURN);
    let (low, high) = distances.iter().fold((f64::INFINITY, 0f64), |(l, h), &d| (l.min(d), h.max(d)));
    let checks = recent.len();
    if turns < TURNS {
        return None;
    }
    let evidence = format!(
        "in {checks} checks the distance to the data has gone to and fro {turns} times, between \
         {low:.2} and {high:.2}"
    );
    Some(Symptom::over(checks, evidence))
}

/// Counts the turns. In a turn, the series rises to more than `factor` times its last low, or
/// falls below its last high divided by `factor`, and the direction changes. The first move counts
/// too.
fn turns(values: impl Iterator<Item = f64>, factor: f64) -> usize {
    let (mut low, mut high, mut turns, mut rising) = (f64::INFINITY, 0f64, 0, None);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
        if rising != Some(true) && value > factor * low {
            (turns, rising, high) = (turns + 1, Some(true), value);
        } else if rising != Some(false) && value * factor < high {
            (turns, rising, low) = (turns + 1, Some(false), value);
        }
    }
    turns
}

/// Share of the images that change their class from one check to the next, on average. For
/// comparison, two draws of 256 images from ten equal classes differ by 0.1.
const HOP: f64 = 0.4;

fn classes(baseline: &Baseline, history: &[Check]) -> Option<Symptom> {
    let recent = recent(history).filter(|recent| recent.len() == WINDOW)?;
    let hops = recent.windows(2).map(|pair| moved(&pair[0].1.images, &pair[1].1.images));
    let hop = hops.sum::<f64>() / (WINDOW - 1) as f64;
    if hop <= HOP {
        return None;
    }
    let evidence = format!(
        "in {WINDOW} checks {:.0}% of the images changed their {} from one check to the next",
        hop * 100.,
        baseline.group()
    );
    Some(Symptom::over(WINDOW, evidence))
}

/// Computes the share of images whose class must change to get from one histogram to the other.
/// This is the total variation of the two histograms.
fn moved(from: &ImageVitals, to: &ImageVitals) -> f64 {
    from.shares.iter().zip(&to.shares).map(|(from, to)| (from - to).abs()).sum::<f64>() / 2.
}

/// Number of checks over which losses are averaged.
const LOSSES: usize = 6;
/// Standard deviation of the generator's loss, divided by its mean. The first limit is for losses
/// with a rhythm, the second for all losses.
const SWING: f64 = 0.25;
const WILD: f64 = 0.45;
/// Autocorrelation that counts as a rhythm.
const RHYTHM: f64 = 0.6;

pub(super) fn oscillating_losses(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    let recent = history.get(history.len().checked_sub(LOSSES)?..)?;
    let mean =
        |value: &dyn Fn(&Vitals) -> f64| recent.iter().map(|(_, v)| value(v)).sum::<f64>() / LOSSES as f64;
    // The minimax loss passes through 0. Near 0, the loss of an undecided discriminator is the
    // measure instead.
    let mut level = mean(&|v| v.losses.g_loss.abs()).max(std::f64::consts::LN_2);
    if recent.iter().all(|(_, vitals)| vitals.losses.d_real.is_none()) {
        // Only differences of a critic's logits have a meaning. The zero of these logits drifts
        // freely, and the loss drifts with it.
        level = level.max(mean(&|v| v.losses.largest_logit));
    }
    let (swing, rhythm) = (mean(&|v| v.losses.swing) / level, mean(&|v| v.losses.rhythm));
    if swing <= WILD && (swing <= SWING || rhythm <= RHYTHM) {
        return None;
    }
    let evidence = format!(
        "over {LOSSES} checks the generator's loss, {level:.2} on average, swings by {:.0}% of that; \
         its autocorrelation is {rhythm:.2}",
        swing * 100.
    );
    Some(Symptom::over(LOSSES, evidence))
}
