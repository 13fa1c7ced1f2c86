//! Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167), with PyTorch's conventions.

use super::activate;
use super::activation::Activation;
use crate::ranks::{AllReduce, mean_over};
use candle_core::{Result, Tensor, Var};
use std::sync::Arc;

/// Batch normalisation over all axes but the channel. All tensors are `[C]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Scale.
    pub weight: Tensor,
    /// Shift.
    pub bias: Tensor,
    /// Running mean. Training passes move it in place.
    pub running_mean: Tensor,
    /// Running variance (unbiased). Training passes move it in place.
    pub running_var: Tensor,
    /// Number that is added to the variance.
    pub eps: f64,
    /// Weight of a new batch in the running statistics.
    pub momentum: f64,
    /// The ranks over whose samples together the statistics of a batch are computed. `None` means the
    /// samples of this process alone.
    pub ranks: Option<Arc<dyn AllReduce>>,
}

impl BatchNorm {
    /// Number of values per channel in a batch, if this process has `own` of them.
    pub(crate) fn values(&self, own: usize) -> usize {
        own * self.ranks.as_ref().map_or(1, |ranks| ranks.ranks())
    }
}

/// Normalises with the statistics of the batch, and moves the running statistics towards them:
/// `activation((x - mean) / sqrt(var + eps) * weight + bias)`. The mean and the (biased) variance
/// are over all axes but the channel, and over all [`BatchNorm::ranks`]. The running variance follows the
/// unbiased variance (divided by `n - 1`), as in PyTorch.
///
/// `x: [B, C, ...]`; returns the same shape. The running statistics must be variables.
///
/// # Errors
/// Shapes that do not fit together; one value per channel, because it has no variance; a rank that does not
/// answer.
pub fn batch_norm_train(x: &Tensor, norm: &BatchNorm, activation: Activation) -> Result<Tensor> {
    let channels = x.dim(1)?;
    // This is [C, n], so each row has the values of one channel.
    let by_channel = x.transpose(0, 1)?;
    let dims = by_channel.dims().to_vec();
    let rows = by_channel.flatten_from(1)?.contiguous()?;
    let n = norm.values(rows.dim(1)?);
    if n < 2 {
        candle_core::bail!(
            "batch norm needs more than one value per channel in training, x is {:?}",
            x.dims()
        )
    }
    let over_ranks = |mean: Tensor| match &norm.ranks {
        Some(ranks) => mean_over(ranks, &mean),
        None => Ok(mean),
    };
    let mean = over_ranks(rows.mean_keepdim(1)?)?;
    let centred = rows.broadcast_sub(&mean)?;
    let var = over_ranks(centred.sqr()?.mean_keepdim(1)?)?;
    let scale = (&var + norm.eps)?.sqrt()?.recip()?.mul(&norm.weight.reshape((channels, 1))?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(&norm.bias.reshape((channels, 1))?)?;
    let y = y.reshape(dims)?.transpose(0, 1)?.contiguous()?;
    let unbiased_var = (var.detach().flatten_all()? * (n as f64 / (n - 1) as f64))?;
    for (running, batch) in
        [(&norm.running_mean, mean.detach().flatten_all()?), (&norm.running_var, unbiased_var)]
    {
        // This is the variable itself, not a copy.
        let running = Var::from_tensor(running)?;
        let old = (running.as_detached_tensor() * (1. - norm.momentum))?;
        running.set(&(old + (batch * norm.momentum)?)?)?;
    }
    activate(&y, activation)
}

/// Normalises with the running statistics:
/// `activation((x - running_mean) / sqrt(running_var + eps) * weight + bias)`.
///
/// `x: [B, C, ...]`; returns the same shape.
///
/// # Errors
/// Shapes that do not fit together.
pub fn batch_norm_eval(x: &Tensor, norm: &BatchNorm, activation: Activation) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let scale = (norm.running_var.detach() + norm.eps)?.sqrt()?.recip()?.mul(&norm.weight)?;
    let y = x
        .broadcast_sub(&norm.running_mean.detach().reshape(&shape[..])?)?
        .broadcast_mul(&scale.reshape(&shape[..])?)?
        .broadcast_add(&norm.bias.reshape(&shape[..])?)?;
    activate(&y, activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use candle_core::{DType, Device};

    fn norm(weight: &[f32], bias: &[f32]) -> Result<BatchNorm> {
        let device = &Device::Cpu;
        let (weight, bias) = (Tensor::new(weight, device)?, Tensor::new(bias, device)?);
        let running_mean = Var::zeros(weight.shape(), DType::F32, device)?.into_inner();
        let running_var = Var::ones(weight.shape(), DType::F32, device)?.into_inner();
        Ok(BatchNorm { weight, bias, running_mean, running_var, eps: 1e-5, momentum: 1., ranks: None })
    }

    #[test]
    fn a_batch_comes_out_with_the_weights_mean_and_deviation() -> Result<()> {
        let x = (Stream::new(0, "bn-test", 0).normal((37, 3, 5, 7), &Device::Cpu)?.affine(4., 9.))?;
        let mut norm = norm(&[1., 2., 0.5], &[0., -1., 3.])?;
        let y = batch_norm_train(&x, &norm, Activation::Identity)?;
        assert_eq!(y.dims(), x.dims());
        for c in 0..3 {
            let values: Vec<f32> = y.narrow(1, c, 1)?.flatten_all()?.to_vec1()?;
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
            assert!((mean - norm.bias.to_vec1::<f32>()?[c]).abs() < 1e-4);
            assert!((std - norm.weight.to_vec1::<f32>()?[c]).abs() < 1e-4);
        }
        // With momentum 1, the running statistics are the statistics of the batch. With the
        // batch's biased variance, evaluation gives the same result.
        let n = (37 * 5 * 7) as f64;
        norm.running_var = (norm.running_var.detach() * ((n - 1.) / n))?;
        let again = batch_norm_eval(&x, &norm, Activation::Identity)?;
        assert!((again - y)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }

    #[test]
    fn a_single_value_per_channel_has_no_variance() -> Result<()> {
        let x = Tensor::zeros((1, 3, 1, 1), DType::F32, &Device::Cpu)?;
        let norm = norm(&[1.; 3], &[0.; 3])?;
        let message = batch_norm_train(&x, &norm, Activation::Identity).unwrap_err().to_string();
        assert!(message.contains("more than one value per channel"), "{message}");
        Ok(())
    }
}
