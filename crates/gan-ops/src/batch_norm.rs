//! Batch normalisation on candle's tape.

use crate::fused::{BatchNorm, Maps};
use crate::kernels::Statistics;
use crate::tape::{Computed, contiguous};
use crate::{Activation, fused, reference};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// Normalises with the statistics of the batch, and moves the running statistics towards them
/// (Ioffe & Szegedy 2015, arXiv 1502.03167):
/// `activation((x - mean) / sqrt(var + eps) * weight + bias)`. The mean and the (biased) variance
/// are over all axes but the channel. The running variance follows the unbiased variance (divided
/// by `n - 1`), as in PyTorch. On the CPU in f32, only first-order gradients exist.
///
/// `x: [B, C]` or `[B, C, H, W]`; returns the same shape. The running statistics must be
/// variables.
///
/// # Errors
/// Shapes that do not fit together; one value per channel, because it has no variance.
pub fn batch_norm_train(x: &Tensor, norm: &BatchNorm, activation: Activation) -> Result<Tensor> {
    let served = fused::serves(x.device(), x.dtype()) && activation.keeps_sign();
    if !served || !matches!(x.rank(), 2 | 4) {
        return reference::batch_norm_train(x, norm, activation);
    }
    let x = contiguous(x)?;
    let (y, statistics) = norm.forward(&Maps::from_tensor(&x)?, activation)?;
    let y = Computed::new(y.to_vec(), x.shape());
    x.apply_op3(&norm.weight, &norm.bias, Op { norm: norm.clone(), activation, statistics, y })
}

/// Normalises with the running statistics:
/// `activation((x - running_mean) / sqrt(running_var + eps) * weight + bias)`.
/// [`fused::PreparedLayer::evaluate`] folds this into the product before it. So a network that is
/// only evaluated is faster with that function.
///
/// `x: [B, C, ...]`; returns the same shape.
///
/// # Errors
/// Shapes that do not fit together.
pub fn batch_norm_eval(x: &Tensor, norm: &BatchNorm, activation: Activation) -> Result<Tensor> {
    crate::activate(&reference::batch_norm_eval(x, norm, Activation::Identity)?, activation)
}

struct Op {
    norm: BatchNorm,
    activation: Activation,
    statistics: Statistics,
    y: Computed,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.y.take()
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (maps, y) = (Maps::from_tensor(x)?, Maps::from_tensor(y)?);
        let mut values = Maps::from_tensor(gradient)?.into_values();
        let [d_weight, d_bias] =
            self.norm.backward(&maps, &self.statistics, &y, self.activation, &mut values)?;
        let d_x = Maps::new(maps.image, maps.batch, values);
        let tensor = |values, like: &Tensor| {
            like.track_op().then(|| Tensor::from_vec(values, like.shape(), like.device())).transpose()
        };
        Ok((tensor(d_x.to_vec(), x)?, tensor(d_weight, weight)?, tensor(d_bias, bias)?))
    }
}
