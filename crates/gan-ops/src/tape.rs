//! Helpers that the ops on candle's tape share.

use candle_core::{CpuStorage, Result, Shape, Tensor};
use std::sync::Mutex;

/// A result that was computed before candle learns of the op. The reason is that candle gives an
/// op bare storage, and the kernels need tensors.
pub(crate) struct Computed(Mutex<Option<(CpuStorage, Shape)>>);

impl Computed {
    pub(crate) fn new(values: Vec<f32>, shape: impl Into<Shape>) -> Self {
        Self(Mutex::new(Some((CpuStorage::F32(values), shape.into()))))
    }

    /// Takes the result out. A second call is an error.
    pub(crate) fn take(&self) -> Result<(CpuStorage, Shape)> {
        let mut result = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        result.take().ok_or_else(|| candle_core::Error::Msg("a fused op was applied twice".into()))
    }
}

/// `x` if it is contiguous, else a contiguous copy that is recorded on the tape.
pub(crate) fn contiguous(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() { Ok(x.clone()) } else { x.contiguous() }
}
