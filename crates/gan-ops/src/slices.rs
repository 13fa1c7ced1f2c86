//! Tensors as slices: contiguous f32 on the CPU.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor};
use std::cell::RefCell;

/// Calls `f` with the values of `tensor`.
pub(crate) fn read<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(f(&values[start..end])),
        _ => candle_core::bail!("expected a contiguous f32 tensor on the CPU, found {tensor:?}"),
    }
}

/// Calls `f` with the values of `tensor`, so that `f` can change them in place. Every tensor that
/// shares the values sees the change.
pub(crate) fn write<T>(tensor: &Tensor, f: impl FnOnce(&mut [f32]) -> T) -> Result<T> {
    let call = Write { f: RefCell::new(Some(f)), result: RefCell::new(None) };
    tensor.inplace_op1(&call)?;
    match call.result.into_inner() {
        Some(result) => Ok(result),
        None => candle_core::bail!("expected a contiguous f32 tensor on the CPU, found {tensor:?}"),
    }
}

struct Write<F, T> {
    f: RefCell<Option<F>>,
    result: RefCell<Option<T>>,
}

impl<T, F: FnOnce(&mut [f32]) -> T> InplaceOp1 for Write<F, T> {
    fn name(&self) -> &'static str {
        "write"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        if let (CpuStorage::F32(values), Some((start, end)), Some(f)) =
            (storage, layout.contiguous_offsets(), self.f.take())
        {
            self.result.replace(Some(f(&mut values[start..end])));
        }
        Ok(())
    }
}
