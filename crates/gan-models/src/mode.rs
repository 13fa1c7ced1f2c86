//! How a network computes: in training or in evaluation.

use gan_ops::rng::Stream;

/// What batch norm and dropout do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm takes the statistics of the batch, which also move the running ones; dropout drops: `model.train()`.
    Train(Draws),
    /// Batch norm takes the running statistics; dropout does nothing: `model.eval()`.
    Eval,
}

/// What layers that draw at random draw from. There is no state: the same three values give the same numbers again, so that a
/// resumed run is the unbroken one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draws {
    /// Seed of the run.
    pub seed: u64,
    /// Tells the passes of one update apart: those over real and over generated images, say.
    pub purpose: &'static str,
    /// Number of the update.
    pub update: u64,
}

impl Draws {
    /// The stream of the layer at that place, `model.3`.
    pub(crate) fn stream(&self, layer: &str) -> Stream {
        Stream::new(self.seed, &format!("{}/{layer}", self.purpose), self.update)
    }
}
