//! The ranks of a training that `mpirun` started.

mod follow;
mod orders;
mod shares;

use crate::exit::{End, usage};
use anyhow::Result;
use candle_core::Device;
use gan_train::group::{Alone, Group};
use std::sync::Arc;

pub(crate) use follow::follow;
pub(crate) use orders::Leader;
pub(crate) use shares::{Sampled, Weights, all_seen, look};

/// Variables in which Open MPI and MPICH tell the number of ranks.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Variables in which Open MPI and MPICH tell the number of this process among those of its machine.
const PLACES: [&str; 2] = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"];

/// The number of this process among the ranks of its machine.
pub(crate) fn place() -> usize {
    PLACES.into_iter().find_map(|name| std::env::var(name).ok()?.parse().ok()).unwrap_or(0)
}

/// The group as a trainer on this device uses it. With NCCL, cards add their gradients without the host.
#[cfg_attr(not(feature = "nccl"), expect(clippy::unnecessary_wraps, reason = "NCCL may fail"))]
pub(crate) fn of_device(group: &Arc<dyn Group>, device: &Device) -> Result<Arc<dyn Group>> {
    #[cfg(feature = "nccl")]
    if device.is_cuda() && group.size() > 1 {
        return Ok(Arc::new(gan_train::group::Nccl::new(Arc::clone(group), device)?));
    }
    let _ = device;
    Ok(Arc::clone(group))
}

/// This process among the others that train the same model.
pub(crate) struct Ranks {
    pub(crate) group: Arc<dyn Group>,
    /// MPI ends with it.
    #[cfg(feature = "mpi")]
    _universe: Option<Box<dyn std::any::Any>>,
}

impl Ranks {
    /// Joins the other processes, if `mpirun` started some.
    pub(crate) fn join() -> Result<Self> {
        let size = SIZES.into_iter().find_map(|name| std::env::var(name).ok()?.parse::<u64>().ok());
        match size {
            Some(2..) => Self::of_mpi(size.unwrap_or_default()),
            _ => Ok(Self::alone()),
        }
    }

    /// A process that trains alone.
    fn alone() -> Self {
        Self {
            group: Arc::new(Alone),
            #[cfg(feature = "mpi")]
            _universe: None,
        }
    }

    #[cfg(feature = "mpi")]
    fn of_mpi(_: u64) -> Result<Self> {
        let (universe, group) = gan_train::group::join_mpi(|error| tracing::error!("{error}"))?;
        Ok(Self { group: Arc::new(group), _universe: Some(Box::new(universe)) })
    }

    #[cfg(not(feature = "mpi"))]
    fn of_mpi(size: u64) -> Result<Self> {
        Err(usage(format!(
            "mpirun started {size} processes of this program, which was built without MPI: build it with --features \
             embedded,fused,mpi"
        )))
    }

    /// Ends all ranks, because this one cannot go on and the others would wait for it.
    #[cfg(feature = "mpi")]
    pub(crate) fn abort(&self) {
        if self.group.size() > 1 {
            gan_train::group::abort_mpi(1);
        }
    }

    /// Refuses several ranks of a command that only one process can do. Rank 0 says it.
    pub(crate) fn expect_one(&self) -> Result<(), Result<End>> {
        match (self.group.size(), self.group.rank()) {
            (1, _) => Ok(()),
            (size, 0) => Err(Err(usage(format!(
                "mpirun started {size} processes of this command, but only train shares its work"
            )))),
            _ => Err(Ok(End::Done)),
        }
    }
}
