//! Pixel norm.

use candle_core::{Result, Tensor};

/// The authors' program adds this to the mean square before it takes the root.
pub(crate) const PIXEL_NORM_EPS: f64 = 1e-8;

/// Divides each pixel's channels by the root of their mean square:
/// `x / sqrt(mean over the channels of x^2 + 1e-8)` (Karras et al. 2018, arXiv 1710.10196, section
/// 4.2). `x: [B, C, ...]`; returns the same shape.
///
/// # Errors
/// A scalar or a vector.
pub fn pixel_norm(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.mean_keepdim(1)? + PIXEL_NORM_EPS)?.sqrt()?)
}
