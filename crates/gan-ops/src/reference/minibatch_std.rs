//! Minibatch standard deviation.

use candle_core::{Result, Tensor};

/// The authors' programs add this to a variance before they take its root.
const EPS: f64 = 1e-8;

/// Appends the minibatch standard deviation as one more channel: see
/// [`crate::fused::Maps::with_deviation`]. `x: [B, C, ...]`; returns `[B, C + 1, ...]`.
///
/// # Errors
/// A scalar or a vector.
pub fn minibatch_std(x: &Tensor, group: usize) -> Result<Tensor> {
    let batch = x.dim(0)?;
    let members = members(batch, group);
    let groups = batch / members;
    let values = x.flatten_from(1)?.reshape((members, groups, ()))?;
    let centred = values.broadcast_sub(&values.mean_keepdim(0)?)?;
    let deviation = (centred.sqr()?.mean(0)? + EPS)?.sqrt()?.mean(1)?;
    let mut shape = x.dims().to_vec();
    shape[1] = 1;
    let ones: Vec<usize> = (0..shape.len()).map(|i| if i == 0 { batch } else { 1 }).collect();
    let of_samples = deviation.unsqueeze(0)?.broadcast_as((members, groups))?.reshape(ones)?;
    Tensor::cat(&[x, &of_samples.broadcast_as(shape)?.contiguous()?], 1)
}

/// Number of samples in a group. It is at most `group`, and it divides the batch.
pub(crate) fn members(batch: usize, group: usize) -> usize {
    (1..=group.clamp(1, batch.max(1))).rev().find(|members| batch.is_multiple_of(*members)).unwrap_or(1)
}
