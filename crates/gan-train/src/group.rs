//! Several processes that train one model together. Each of them is a rank: it works on its share of
//! every batch, and the gradients of all ranks are added before each update.

mod collectives;
mod local;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;

use crate::error::Result;
use candle_core::Tensor;
use gan_ops::AllReduce;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use collectives::{Collectives, Link, Message, PATIENCE};
pub use local::LocalLink;
#[cfg(feature = "mpi")]
pub use mpi::{MpiLink, abort as abort_mpi, join as join_mpi};
#[cfg(feature = "nccl")]
pub use nccl::Nccl;

/// The ranks that train together, as one of them sees them. All ranks must call the same methods in
/// the same order.
pub trait Group: Debug + Send + Sync {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Replaces the values of every rank by their sums over all ranks. Every rank gets the same bytes.
    /// The order of the additions is fixed, so the same values give the same sums.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn all_reduce(&self, values: &mut [f32]) -> Result<()>;

    /// The sums of a tensor's values over all ranks, as [`Self::all_reduce`], on its device. Without NCCL, they go
    /// through the memory of the host.
    ///
    /// # Errors
    /// A rank that does not answer; errors of the device.
    fn all_reduce_tensor(&self, values: &Tensor) -> Result<Tensor> {
        let mut flat = values.flatten_all()?.to_vec1::<f32>()?;
        self.all_reduce(&mut flat)?;
        Ok(Tensor::from_vec(flat, values.shape(), values.device())?)
    }

    /// Replaces `bytes` by those of rank 0. The other ranks wait for them as long as it takes. Rank 0 waits only
    /// [`PATIENCE`] for a rank that does not take them.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Returns the bytes of every rank, in order, at rank 0. It waits for the time `patience`, or as long as it
    /// takes. The other ranks get an empty list, and wait as long as it takes.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn gather(&self, bytes: &[u8], patience: Option<Duration>) -> Result<Vec<Vec<u8>>>;

    /// Waits until every rank has come here.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn barrier(&self) -> Result<()>;
}

/// A group, as layers see it that compute something over the samples of all ranks.
#[derive(Debug)]
pub(crate) struct Ranks(pub(crate) Arc<dyn Group>);

impl AllReduce for Ranks {
    fn ranks(&self) -> usize {
        self.0.size()
    }

    fn all_reduce(&self, values: &mut [f32]) -> candle_core::Result<()> {
        self.0.all_reduce(values).map_err(candle_core::Error::wrap)
    }
}

/// A group of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce(&self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn broadcast(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn gather(&self, bytes: &[u8], _: Option<Duration>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![bytes.to_vec()])
    }

    fn barrier(&self) -> Result<()> {
        Ok(())
    }
}
