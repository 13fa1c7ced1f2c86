//! Pooling with any window: the largest value and the mean.

use candle_core::{Result, Tensor};

/// A square that slides over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the square, at least 1.
    pub size: usize,
    /// Distance of two neighbouring squares, at least 1.
    pub stride: usize,
    /// How far a square may reach beyond each border of the image. At most half of `size`.
    pub padding: usize,
}

impl Window {
    /// Number of squares on an axis: `(length + 2 padding - size) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// A side or a stride of 0, a padding of more than half of the side, a square larger than the
    /// padded image.
    pub fn places(self, length: usize) -> Result<usize> {
        let Self { size, stride, padding } = self;
        let fits = size > 0 && stride > 0 && padding <= size / 2 && length > 0;
        let room = length.checked_add(2 * padding.min(size)).and_then(|length| length.checked_sub(size));
        match room.filter(|_| fits) {
            Some(room) => Ok(room / stride + 1),
            None => candle_core::bail!("{self:?} does not fit an axis of {length}"),
        }
    }
}

/// The largest value of each square, as PyTorch's `functional.max_pool2d` computes it.
/// `x: [B, C, H, W]`; returns `[B, C, H', W']`, whose sizes are [`Window::places`].
///
/// Positions outside the image do not count. Here they repeat the value at the border, which is
/// in the same square. candle passes over NaN, which PyTorch does not.
///
/// # Errors
/// Another rank; the errors of [`Window::places`].
pub fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    check(x, window)?;
    let Window { size, stride, padding } = window;
    let around = x.pad_with_same(2, padding, padding)?.pad_with_same(3, padding, padding)?;
    around.contiguous()?.max_pool2d_with_stride(size, stride)
}

/// The mean of each square, as PyTorch's `functional.avg_pool2d` computes it with
/// `count_include_pad=False`: positions outside the image do not count. `x: [B, C, H, W]`; returns
/// `[B, C, H', W']`, whose sizes are [`Window::places`].
///
/// # Errors
/// Another rank; the errors of [`Window::places`].
pub fn mean_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    check(x, window)?;
    let Window { size, stride, padding } = window;
    let mean = |x: &Tensor| {
        let around = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
        around.contiguous()?.avg_pool2d_with_stride(size, stride)
    };
    // The second factor is the share of the square that is inside the image.
    mean(x)?.broadcast_div(&mean(&x.narrow(0, 0, 1)?.narrow(1, 0, 1)?.ones_like()?)?)
}

fn check(x: &Tensor, window: Window) -> Result<()> {
    let (_, _, height, width) = x.dims4()?;
    window.places(height)?;
    window.places(width)?;
    Ok(())
}
