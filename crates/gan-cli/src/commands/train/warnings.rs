//! Warnings about runs that can only disappoint.

use crate::config::MIN_JUDGED;
use crate::run::Plan;
use crate::terminal::counted;

/// Number of steps below which a run whose length is in epochs has learned nothing. Lengths in steps are
/// chosen on purpose.
const FEW: u64 = 1000;
/// Number of steps after which the recipes for some thousand pictures draw something worth seeing.
const ENOUGH: u64 = 2000;

/// Warns if the epochs of a small data set are too few steps to learn anything.
pub(super) fn of_few_steps(plan: &Plan) {
    let (steps, Some(epochs)) = (plan.horizon.steps, plan.config.train.epochs) else { return };
    if steps < FEW && steps > 0 {
        let images = counted(plan.batches.dataset().len(), "image");
        let enough = (ENOUGH * epochs).div_ceil(steps);
        tracing::warn!(
            "{epochs} epochs of {images} are {steps} steps, too few to learn much: --set train.epochs={enough} makes \
             about {ENOUGH}"
        );
    }
}

/// Warns if fewer pictures are held out than an evaluation needs.
pub(super) fn of_few_held_out(plan: &Plan) {
    let (Some(share), trained) = (plan.config.data.hold_out, plan.batches.dataset().len()) else { return };
    if plan.config.data.limit.is_some() {
        return;
    }
    let all = trained as f64 / (1. - share);
    let held_out = (all - trained as f64).round() as usize;
    // Rounded up to whole hundredths.
    let enough = (MIN_JUDGED as f64 / all * 100.).ceil() / 100.;
    if held_out < MIN_JUDGED {
        let advice = if enough <= 0.5 {
            format!("data.hold-out = {enough} would keep as many")
        } else {
            "without data.hold-out, evaluate compares with pictures that were trained on".to_owned()
        };
        tracing::warn!(
            "data.hold-out = {share} keeps {} from training, but evaluate needs {MIN_JUDGED}: {advice}",
            counted(held_out, "picture")
        );
    }
}
