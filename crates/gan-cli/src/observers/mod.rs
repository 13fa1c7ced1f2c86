//! What a run shows and leaves behind.

mod checkpoints;
mod evaluate;
mod health;
mod interrupt;
mod metrics;
mod progress;
mod samples;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use evaluate::Evaluate;
pub(crate) use health::{Health, Watch};
pub(crate) use interrupt::Interrupt;
pub(crate) use metrics::Metrics;
pub(crate) use progress::Progress;
pub(crate) use samples::Samples;

use gan_models::Provenance;
use gan_train::Trainer;

/// Where a generator's weights come from, at this step of its training on the data of that name.
fn provenance(trainer: &Trainer, data: &str, images_per_step: usize) -> Provenance {
    let step = trainer.steps_done();
    Provenance {
        data: data.to_owned(),
        step,
        images: step * images_per_step as u64,
        seed: trainer.seed(),
        loss: trainer.loss().to_string(),
    }
}
