//! Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167), with PyTorch's conventions.

use candle_core::{Result, Tensor};

/// What a batch says of its channels; detached, since running statistics carry no gradient.
#[derive(Debug, Clone)]
pub struct BatchStats {
    /// Mean of each channel, `[C]`.
    pub mean: Tensor,
    /// Unbiased variance of each channel (divided by `n - 1`), `[C]`: what PyTorch's running
    /// variance averages, while the normalisation itself divides by `n`.
    pub unbiased_var: Tensor,
}

/// Normalises with the statistics of the batch: `(x - mean) / sqrt(var + eps) * weight + bias`, with
/// mean and (biased) variance over everything but the channel.
///
/// `x: [B, C, ...]`, `weight, bias: [C]`; returns the same shape as `x` and the [`BatchStats`].
///
/// # Errors
/// Shapes that do not fit together; a single value per channel, whose variance does not exist.
pub fn batch_norm_train(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> Result<(Tensor, BatchStats)> {
    let channels = x.dim(1)?;
    // [C, n], so that a channel's statistics are those of one row.
    let by_channel = x.transpose(0, 1)?;
    let dims = by_channel.dims().to_vec();
    let rows = by_channel.flatten_from(1)?.contiguous()?;
    let n = rows.dim(1)?;
    if n < 2 {
        candle_core::bail!(
            "batch norm needs more than one value per channel in training, x is {:?}",
            x.dims()
        )
    }
    let mean = rows.mean_keepdim(1)?;
    let centred = rows.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(1)?;
    let scale = (&var + eps)?.sqrt()?.recip()?.mul(&weight.reshape((channels, 1))?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(&bias.reshape((channels, 1))?)?;
    let y = y.reshape(dims)?.transpose(0, 1)?.contiguous()?;
    let unbiased_var = (var.detach().flatten_all()? * (n as f64 / (n - 1) as f64))?;
    Ok((y, BatchStats { mean: mean.detach().flatten_all()?, unbiased_var }))
}

/// Normalises with given statistics: `(x - mean) / sqrt(var + eps) * weight + bias`.
///
/// `x: [B, C, ...]`, all others `[C]`; returns the same shape as `x`.
///
/// # Errors
/// Shapes that do not fit together.
pub fn batch_norm_eval(
    x: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let scale = (var + eps)?.sqrt()?.recip()?.mul(weight)?;
    x.broadcast_sub(&mean.reshape(&shape[..])?)?
        .broadcast_mul(&scale.reshape(&shape[..])?)?
        .broadcast_add(&bias.reshape(&shape[..])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use candle_core::{DType, Device};

    #[test]
    fn a_batch_comes_out_with_the_weights_mean_and_deviation() -> Result<()> {
        let device = Device::Cpu;
        let x = (Stream::new(0, "bn-test", 0).normal((37, 3, 5, 7), &device)?.affine(4., 9.))?;
        let weight = Tensor::new(&[1f32, 2., 0.5], &device)?;
        let bias = Tensor::new(&[0f32, -1., 3.], &device)?;
        let (y, stats) = batch_norm_train(&x, &weight, &bias, 1e-5)?;
        assert_eq!(y.dims(), x.dims());
        for c in 0..3 {
            let values: Vec<f32> = y.narrow(1, c, 1)?.flatten_all()?.to_vec1()?;
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
            assert!((mean - bias.to_vec1::<f32>()?[c]).abs() < 1e-4);
            assert!((std - weight.to_vec1::<f32>()?[c]).abs() < 1e-4);
        }
        // Evaluating with the batch's own (biased) statistics gives the same again.
        let n = (37 * 5 * 7) as f64;
        let biased = (&stats.unbiased_var * ((n - 1.) / n))?;
        let again = batch_norm_eval(&x, &stats.mean, &biased, &weight, &bias, 1e-5)?;
        assert!((again - y)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }

    #[test]
    fn a_single_value_per_channel_has_no_variance() -> Result<()> {
        let x = Tensor::zeros((1, 3, 1, 1), DType::F32, &Device::Cpu)?;
        let w = Tensor::ones(3, DType::F32, &Device::Cpu)?;
        let message = batch_norm_train(&x, &w, &w, 1e-5).unwrap_err().to_string();
        assert!(message.contains("more than one value per channel"), "{message}");
        Ok(())
    }
}
