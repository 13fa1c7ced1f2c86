//! Pixel norm: it divides each pixel's channels by the root of their mean square.

use super::Maps;
use crate::geometry::Image;
use crate::kernels::{self, Buffer};
use crate::reference::PIXEL_NORM_EPS;
use candle_core::Result;

impl Maps {
    /// Computes `x / sqrt(mean over the channels of x^2 + 1e-8)` at each pixel of each sample
    /// (Karras et al. 2018, arXiv 1710.10196, section 4.2).
    #[must_use]
    pub fn pixel_norm(&self) -> Self {
        let lanes = kernels::padded(self.batch);
        let mut values = Buffer::new(self.values.len());
        kernels::each_pixel(&mut values, self.image.channels * lanes, |pixel, out| {
            let x = &self.values[pixel * out.len()..][..out.len()];
            let factors = factors(x, lanes);
            for (out, x) in out.chunks_exact_mut(lanes).zip(x.chunks_exact(lanes)) {
                out.iter_mut().zip(x).zip(&factors).for_each(|((out, x), factor)| *out = x * factor);
            }
        });
        Self::new(self.image, self.batch, values)
    }

    /// Computes the gradient of these maps from the gradient of [`Self::pixel_norm`]. It is
    /// `(gradient - x (x . gradient) / (C r^2)) / r`, with `r` the root and `C` the number of
    /// channels.
    ///
    /// # Errors
    /// A gradient of another shape.
    pub fn pixel_norm_gradient(&self, gradient: &Self) -> Result<Self> {
        if (gradient.image, gradient.batch) != (self.image, self.batch) {
            candle_core::bail!("a gradient of {:?} for {:?}", gradient.dims(), self.dims())
        }
        let Image { channels, .. } = self.image;
        let lanes = kernels::padded(self.batch);
        let mut values = Buffer::new(self.values.len());
        kernels::each_pixel(&mut values, channels * lanes, |pixel, out| {
            let at = pixel * out.len()..(pixel + 1) * out.len();
            let (x, of_y) = (&self.values[at.clone()], &gradient.values[at]);
            let factors = factors(x, lanes);
            let mut along = vec![0.; lanes];
            for (x, of_y) in x.chunks_exact(lanes).zip(of_y.chunks_exact(lanes)) {
                along.iter_mut().zip(x).zip(of_y).for_each(|((sum, x), of_y)| *sum += x * of_y);
            }
            for (sum, factor) in along.iter_mut().zip(&factors) {
                *sum *= factor * factor / channels as f32;
            }
            let rows = x.chunks_exact(lanes).zip(of_y.chunks_exact(lanes));
            for (out, (x, of_y)) in out.chunks_exact_mut(lanes).zip(rows) {
                for n in 0..lanes {
                    out[n] = (of_y[n] - x[n] * along[n]) * factors[n];
                }
            }
        });
        Ok(Self::new(self.image, self.batch, values))
    }
}

/// Computes 1 / root of the mean square of each sample at one pixel, `x: [C][N]`.
fn factors(x: &[f32], lanes: usize) -> Vec<f32> {
    let mut squares = vec![0.; lanes];
    for row in x.chunks_exact(lanes) {
        squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
    }
    let channels = (x.len() / lanes) as f32;
    squares.into_iter().map(|sum| (sum / channels + PIXEL_NORM_EPS as f32).sqrt().recip()).collect()
}
