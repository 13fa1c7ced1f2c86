//! What a run says of the weights that it begins with.

use super::Plan;
use crate::config::{self, Config, Difference};
use crate::terminal;
use anyhow::Result;
use gan_train::{InitConfig, Initial};
use std::collections::BTreeMap;

/// Number of tensors that a message names.
const NAMED: usize = 10;

/// Says which weights training begins with.
pub(super) fn announce(init: &InitConfig, initial: &Initial, plan: &Plan) -> Result<()> {
    let of = match (initial.has_both, &initial.average) {
        (true, Some(_)) => "both networks and the average",
        (true, None) => "both networks",
        (false, _) => "the generator; the discriminator begins with random weights",
    };
    tracing::info!("beginning with the weights of {}: {of}", init.from.display());
    for left_out in initial.left_out.iter().take(NAMED) {
        tracing::warn!("left out: {left_out}");
    }
    if let Some(more @ 1..) = initial.left_out.len().checked_sub(NAMED) {
        tracing::warn!("left out: {more} more tensors");
    }
    warn_of_other_training(initial, plan)
}

/// Warns if the weights were trained as another model, for other classes or for another range of pixels.
fn warn_of_other_training(initial: &Initial, plan: &Plan) -> Result<()> {
    let Some((model, trained)) = &initial.described else { return Ok(()) };
    let Config { model: own, .. } = &plan.config;
    // Without weights of D, its own settings are its first ones.
    let mut model = model.clone();
    if !initial.has_both {
        model.discriminator = own.discriminator.clone();
    }
    if let Some(Difference { key, expected, found }) = config::difference(&model, own)? {
        tracing::warn!("the weights were trained with {key} = {expected}, and this run has {found}");
    }
    let names = Plan::class_names(own, plan.batches.dataset());
    if !trained.class_names.is_empty() && !names.is_empty() && trained.class_names != names {
        let listed = |names: &[String]| terminal::escaped(&names.join(", "), &[]);
        tracing::warn!(
            "the weights were trained for the classes {}, and the data have {}: each class begins as the one that had \
             its number",
            listed(&trained.class_names),
            listed(names)
        );
    }
    let (range, settings) = ("data.range", plan.config.settings()?);
    let value = |settings: &BTreeMap<String, String>| settings.get(range).cloned().unwrap_or_default();
    if !trained.settings.is_empty() && value(&trained.settings) != value(&settings) {
        tracing::warn!("the weights were trained with another {range}");
    }
    Ok(())
}
