//! Ranks that have a card of NVIDIA each. NCCL adds their gradients from card to card. All else goes through
//! another group, which must know first who is there.

use super::Group;
use crate::error::{Result, TrainError};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::nccl::safe::{Comm, Id, ReduceOp};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Device, Layout, Shape, Tensor};
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A group that adds tensors on cards with NCCL.
#[derive(Debug)]
pub struct Nccl {
    /// Carries everything that is not on a card.
    host: Arc<dyn Group>,
    sum: Sum,
}

impl Nccl {
    /// Joins the cards of all ranks of `host`. Each rank must have a card of its own.
    ///
    /// # Errors
    /// A device that is no card; two ranks with one card; a rank that does not answer.
    pub fn new(host: Arc<dyn Group>, device: &Device) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        let rank = host.rank();
        let failed = |error: String| TrainError::rank(rank, format!("NCCL: {error}"));
        // Rank 0 makes the name under which the cards find each other.
        let mut id = vec![];
        if rank == 0 {
            let made = Id::new().map_err(|error| failed(format!("{error:?}")))?;
            id = made.internal().iter().map(|byte| byte.cast_unsigned()).collect();
        }
        host.broadcast(&mut id)?;
        let id: Vec<std::ffi::c_char> = id.into_iter().map(u8::cast_signed).collect();
        let id = id.try_into().map_err(|_| failed("rank 0 sent no id".to_owned()))?;
        let comm = Comm::from_rank(stream, rank, host.size(), Id::uninit(id));
        let comm = comm.map_err(|error| failed(format!("{error:?} (each rank needs a card of its own)")))?;
        Ok(Self { host, sum: Sum(Arc::new(Communicator(Mutex::new(comm)))) })
    }
}

impl Group for Nccl {
    fn rank(&self) -> usize {
        self.host.rank()
    }

    fn size(&self) -> usize {
        self.host.size()
    }

    fn all_reduce(&self, values: &mut [f32]) -> Result<()> {
        self.host.all_reduce(values)
    }

    /// NCCL adds in the order that it has chosen for these cards and this length, which is the same each time.
    fn all_reduce_tensor(&self, values: &Tensor) -> Result<Tensor> {
        Ok(values.contiguous()?.apply_op1_no_bwd(&self.sum)?)
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.host.broadcast(bytes)
    }

    fn gather(&self, bytes: &[u8], patience: Option<Duration>) -> Result<Vec<Vec<u8>>> {
        self.host.gather(bytes, patience)
    }

    fn barrier(&self) -> Result<()> {
        self.host.barrier()
    }
}

/// A communicator of NCCL.
struct Communicator(Mutex<Comm>);

// SAFETY: NCCL allows calls from any thread, one at a time, and the mutex makes it one at a time.
#[expect(unsafe_code, reason = "cudarc's communicator holds a pointer")]
unsafe impl Send for Communicator {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "cudarc's communicator holds a pointer")]
unsafe impl Sync for Communicator {}

impl Debug for Communicator {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Communicator")
    }
}

/// Adds values over the cards.
#[derive(Debug, Clone)]
struct Sum(Arc<Communicator>);

impl CustomOp1 for Sum {
    fn name(&self) -> &'static str {
        "sum over cards"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        candle_core::bail!("NCCL adds on cards only")
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("a sum over cards of values that are not contiguous")
        };
        let device = storage.device().clone();
        let values = storage.as_cuda_slice::<f32>()?.slice(start..end);
        let mut sums = device.alloc_zeros::<f32>(end - start)?;
        let comm = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        comm.all_reduce(&values, &mut sums, &ReduceOp::Sum)
            .map_err(|error| candle_core::Error::Msg(format!("NCCL: {error:?}")))?;
        Ok((CudaStorage::wrap_cuda_slice(sums, device), layout.shape().clone()))
    }
}
