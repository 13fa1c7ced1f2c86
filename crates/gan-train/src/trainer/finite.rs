//! Finds the first value that is not finite.

use crate::error::{Result, TrainError};
use gan_models::{Discriminator, Generator};

/// Checks every weight and running statistic after `step` steps.
pub(super) fn check(generator: &Generator, discriminator: &Discriminator, step: u64) -> Result<()> {
    match first_broken(generator, discriminator)? {
        None => Ok(()),
        Some(what) => {
            let diagnosis = "an update broke it: try a lower lr".into();
            Err(TrainError::NonFinite { step, what, diagnosis })
        }
    }
}

/// Says what is wrong after a value of a step was not finite.
pub(super) fn diagnosis(generator: &Generator, discriminator: &Discriminator) -> Result<String> {
    Ok(match first_broken(generator, discriminator)? {
        Some(tensor) => format!("the first broken tensor is {tensor}: try a lower lr"),
        None => {
            "every weight is finite: the images hold NaN, or the logits overflowed (try a lower lr)".into()
        }
    })
}

fn first_broken(generator: &Generator, discriminator: &Discriminator) -> Result<Option<String>> {
    for (player, params) in [("generator", generator.params()), ("discriminator", discriminator.params())] {
        if let Some(name) = params.first_non_finite()? {
            return Ok(Some(format!("{player} {name}")));
        }
    }
    Ok(None)
}
