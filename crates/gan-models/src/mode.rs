//! How a network computes: in training or in evaluation.

use gan_ops::rng::Stream;

/// How batch norm and dropout compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `model.train()`: batch norm uses the statistics of the batch and moves the running
    /// statistics. Dropout drops elements.
    Train(Draws),
    /// `model.eval()`: batch norm uses the running statistics. Dropout does nothing.
    Eval,
}

/// The random numbers of layers such as dropout. There is no state: the same values give the
/// same numbers again. Therefore a resumed run equals the unbroken run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draws {
    /// Seed of the run.
    pub seed: u64,
    /// Distinguishes the passes of one update: one over real images and one over generated
    /// images, for example.
    pub purpose: &'static str,
    /// Number of the update.
    pub update: u64,
    /// Number of samples of the batch before the first sample of the pass. It is 0 unless a batch is
    /// divided among several passes. Then a sample gets the same random numbers as without division.
    pub first: usize,
}

impl Draws {
    /// The stream of the layer at this place, such as `model.3`.
    pub(crate) fn stream(&self, layer: &str) -> Stream {
        Stream::new(self.seed, &format!("{}/{layer}", self.purpose), self.update)
    }
}
