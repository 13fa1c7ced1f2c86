//! How a batch is divided among the ranks, and each rank's share into parts.

use crate::config::TrainConfig;
use crate::error::Result;
use candle_core::Tensor;
use std::ops::Range;

/// The samples of a batch that one pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Number of samples of the batch before the part, those of other ranks included.
    pub(crate) first: usize,
    /// Number of samples in the part.
    pub(crate) samples: usize,
    /// Number of samples in the batch of all ranks.
    pub(crate) whole: usize,
}

/// The parts of one rank. All parts of all ranks have the same number of samples, so the mean over the
/// batch is the mean of the parts' means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Division {
    pub(crate) rank: usize,
    pub(crate) ranks: usize,
    /// Parts of one rank, which are computed one after the other.
    pub(crate) parts: usize,
    /// Number of samples in a part.
    pub(crate) samples: usize,
}

impl Division {
    /// Divides this rank's share of `batch` images into the parts of `config`.
    pub(crate) fn new([rank, ranks]: [usize; 2], config: &TrainConfig, batch: usize) -> Result<Self> {
        let samples = config.part_size(batch * ranks, ranks)?;
        Ok(Self { rank, ranks, parts: batch / samples, samples })
    }

    /// The parts, in order.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part> {
        let Self { rank, ranks, parts, samples } = self;
        let part =
            move |i| Part { first: (rank * parts + i) * samples, samples, whole: ranks * parts * samples };
        (0..parts).map(part)
    }

    /// Whether one part is the rank's whole share of a batch.
    pub(crate) fn is_whole(self) -> bool {
        self.parts == 1
    }

    /// The rows of `part` if this rank's shares of several batches follow each other, and the part
    /// belongs to batch `i`.
    pub(crate) fn rows(self, part: Part, i: u64) -> Range<usize> {
        let batch = self.parts * self.samples;
        let start = i as usize * batch + part.first - self.rank * batch;
        start..start + part.samples
    }

    /// The weight of a part's mean in the mean over the batch.
    pub(crate) fn weight(self) -> f64 {
        1. / (self.ranks * self.parts) as f64
    }

    /// This rank's rows of `batches` batches of all ranks that follow each other: `[N, ...]`.
    pub(crate) fn of_all_ranks(x: &Tensor, batches: usize, [rank, ranks]: [usize; 2]) -> Result<Tensor> {
        if ranks == 1 {
            return Ok(x.clone());
        }
        let share = x.dim(0)? / batches / ranks;
        let rows = |i: usize| x.narrow(0, (i * ranks + rank) * share, share);
        let rows = (0..batches).map(rows).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&rows, 0)?)
    }
}
