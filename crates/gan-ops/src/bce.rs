//! Binary cross-entropy on logits on candle's tape.

use crate::tape::contiguous;
use crate::{fused, reference};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Mean binary cross-entropy of logits against one target probability for all of them:
/// `mean(softplus(x) - target * x)`. This is PyTorch's `BCEWithLogitsLoss` against a constant. It
/// is exact and finite for every finite logit. On the CPU in f32, only first-order gradients
/// exist.
///
/// `logits`: any shape; `target` in [0, 1]; returns a scalar.
///
/// # Errors
/// Only errors of the device.
pub fn bce_with_logits(logits: &Tensor, target: f64) -> Result<Tensor> {
    if !fused::serves(logits.device(), logits.dtype()) {
        return reference::bce_with_logits(logits, target);
    }
    contiguous(logits)?.apply_op1(Bce { target })
}

struct Bce {
    target: f64,
}

impl CustomOp1 for Bce {
    fn name(&self) -> &'static str {
        "bce with logits"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = storage.as_slice::<f32>()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("logits that are not contiguous")
        };
        // max(x, 0) - t x is computed as one term, because softplus(x) - x would lose digits by
        // cancellation at target 1.
        let loss = |&x: &f32| {
            let x = f64::from(x);
            let linear = if x > 0. { (1. - self.target) * x } else { -self.target * x };
            linear + (-x.abs()).exp().ln_1p()
        };
        let mean = values[start..end].iter().map(loss).sum::<f64>() / (end - start) as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let scale = f64::from(gradient.to_scalar::<f32>()?) / logits.elem_count() as f64;
        let slope = |&x: &f32| {
            let x = f64::from(x);
            // sigmoid(x) - 1 is computed as -sigmoid(-x), because the difference would lose digits
            // by cancellation.
            let slope =
                if self.target >= 1. { -1. / (1. + x.exp()) } else { 1. / (1. + (-x).exp()) - self.target };
            (slope * scale) as f32
        };
        let values = logits.flatten_all()?.to_vec1::<f32>()?.iter().map(slope).collect();
        Tensor::from_vec(values, logits.shape(), logits.device()).map(Some)
    }
}
