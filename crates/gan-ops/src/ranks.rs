//! Sums over the processes that share a batch.

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, DType, Layout, MetalStorage, Result, Shape, Tensor};
use std::fmt::Debug;
use std::sync::Arc;

/// The processes, called ranks, that compute parts of the same size of one batch. All of them must call the
/// same methods in the same order.
pub trait AllReduce: Debug + Send + Sync {
    /// Number of ranks.
    fn ranks(&self) -> usize;

    /// Replaces the values of every rank by their sums over all ranks. Every rank gets the same bytes.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn all_reduce(&self, values: &mut [f32]) -> Result<()>;
}

/// The mean of `x` over all ranks, on candle's tape. The loss is the sum of the losses of all ranks, so the
/// gradient is summed over the ranks too.
pub(crate) fn mean_over(ranks: &Arc<dyn AllReduce>, x: &Tensor) -> Result<Tensor> {
    let sum = x.to_dtype(DType::F32)?.contiguous()?.apply_op1(Sum(Arc::clone(ranks)))?;
    (sum / ranks.ranks() as f64)?.to_dtype(x.dtype())
}

#[derive(Clone)]
struct Sum(Arc<dyn AllReduce>);

impl Sum {
    fn over_host<S: BackendStorage>(&self, storage: &S, layout: &Layout) -> Result<(S, Shape)>
    where
        S::Device: BackendDevice<Storage = S>,
    {
        let (sums, shape) = self.cpu_fwd(&storage.to_cpu_storage()?, layout)?;
        Ok((storage.device().storage_from_cpu_storage_owned(sums)?, shape))
    }
}

impl CustomOp1 for Sum {
    fn name(&self) -> &'static str {
        "sum over ranks"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("a sum over ranks of values that are not contiguous f32")
        };
        let mut sums = values[start..end].to_vec();
        self.0.all_reduce(&mut sums)?;
        Ok((CpuStorage::F32(sums), layout.shape().clone()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.over_host(storage, layout)
    }

    fn metal_fwd(&self, storage: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        self.over_host(storage, layout)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.apply_op1(self.clone()).map(Some)
    }
}
