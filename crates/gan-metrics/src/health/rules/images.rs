//! Symptoms in the images, real and generated.

use super::{Check, PATIENCE, Symptom, WINDOW};
use crate::health::vitals::{Baseline, ImageVitals};

/// Largest distance of the data's pixels from the ends of the generator's range: inside the range,
/// and beyond it. Both are shares of the range.
const SHORT: f64 = 0.25;
const BEYOND: f64 = 0.01;

pub(super) fn range_mismatch(baseline: &Baseline, _: &[Check]) -> Option<Symptom> {
    let ([low, high], [lowest, highest]) = (baseline.range, baseline.reach);
    let width = highest - lowest;
    let short = low > lowest + SHORT * width || high < highest - SHORT * width;
    let beyond = low < lowest - BEYOND * width || high > highest + BEYOND * width;
    if !(short || beyond) {
        return None;
    }
    Some(Symptom::now(format!(
        "real pixels lie in [{low:.2}, {high:.2}], the generator's in [{lowest:.2}, {highest:.2}]"
    )))
}

/// Largest variance of collapsed images, as a share of the real images' variance.
const NARROW: f64 = 0.1;
/// Images at this distance or more may be alike only because nothing was learned yet. They are far
/// from any data. An MLP's first epochs give such images.
const UNFORMED: f64 = 2.5;
/// Variance above which images are not alike, as a share of the real images' variance.
const DIVERSE: f64 = 0.3;

pub(super) fn mode_collapse(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    let ImageVitals { spread, count, distance, .. } = history.last()?.1.images;
    let was_diverse = history.iter().any(|(_, v)| v.images.spread > DIVERSE);
    if spread >= NARROW || (distance >= UNFORMED && !was_diverse) {
        return None;
    }
    Some(Symptom::now(format!("{count} generated images vary {:.1}% as much as real ones", spread * 100.)))
}

/// A class whose share of the data is smaller than this is not missed.
const COMMON: f64 = 0.02;
/// The same for a bin. A smaller bin may hold only unusual images: a healthy DCGAN on MNIST never drew
/// any of a bin with 1.1% of the digits.
const COMMON_BIN: f64 = 0.04;
/// A class or bin is missing if its share of the images is below this part of its share of the data.
const SELDOM: f64 = 0.01;
/// Largest distance of images whose classes can be recognised.
pub(crate) const FORMED: f64 = 1.;

pub(super) fn missing_modes(baseline: &Baseline, history: &[Check]) -> Option<Symptom> {
    let recent = history.get(history.len().checked_sub(WINDOW)?..)?;
    if recent.iter().any(|(_, v)| v.images.distance > FORMED) {
        return None;
    }
    let share = |class: usize| {
        let shares = recent.iter().map(|(_, v)| v.images.shares.get(class).copied().unwrap_or_default());
        shares.sum::<f64>() / WINDOW as f64
    };
    let common = if baseline.features.is_some() { COMMON_BIN } else { COMMON };
    let missing: Vec<_> = (0..baseline.shares.len())
        .filter(|&class| baseline.shares[class] > common && share(class) < SELDOM * baseline.shares[class])
        .map(|class| {
            format!(
                "{class} ({:.2}%, {:.1}% of the data)",
                share(class) * 100.,
                baseline.shares[class] * 100.
            )
        })
        .collect();
    let count: usize = recent.iter().map(|(_, v)| v.images.count).sum();
    if missing.is_empty() {
        return None;
    }
    Some(Symptom::over(
        WINDOW,
        format!("of {count} generated images hardly any is of {} {}", baseline.group(), missing.join(", ")),
    ))
}

/// Largest distance of a run that has made progress. The distance of one repeated image is 1.
const FAR: f64 = 0.5;
/// For a run that makes progress, this is the largest ratio of the best distance in the later half
/// to the best distance in the earlier half.
const PROGRESS: f64 = 0.8;

pub(super) fn non_convergence(baseline: &Baseline, history: &[Check]) -> Option<Symptom> {
    let checks = history.len();
    if checks < PATIENCE {
        return None;
    }
    let best = |part: &[Check]| part.iter().map(|(_, v)| v.images.distance).fold(f64::INFINITY, f64::min);
    let (earlier, later) = history.split_at(checks / 2);
    let (earlier, later) = (best(earlier), best(later));
    if later <= PROGRESS * earlier || later <= FAR {
        return None;
    }
    let evidence = format!(
        "in the last {} of {checks} checks the distance to the data was never below {later:.2}, before \
         them never below {earlier:.2}; one single image has 1, real images have {:.2}",
        checks - checks / 2,
        baseline.distance
    );
    Some(Symptom::over(checks, evidence))
}

/// Largest share of copies that is not a symptom.
const COPIES: f64 = 0.25;

pub(super) fn memorisation(_: &Baseline, history: &[Check]) -> Option<Symptom> {
    let copied = history.last()?.1.images.copied;
    if copied <= COPIES {
        return None;
    }
    Some(Symptom::now(format!(
        "{:.0}% of the generated images are nearer to a training image than 99% of the training images \
         are to each other",
        copied * 100.
    )))
}
