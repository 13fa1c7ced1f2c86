//! Kernels for the CPU. They read slices and write slices.
//!
//! Maps, the activations of a batch, have the order `[H][W][C][N]` in memory: pixel by pixel, then
//! channel by channel, with the samples of the batch innermost. Then the channels of one pixel are
//! a dense matrix `[C][N]`, which the inner loop reads without a copy, and adjacent pixels
//! continue this matrix. Positions outside the image are left out instead of multiplied by zero.
//! So there is no im2col, no packing and no padding of images. The innermost dimension is padded
//! to whole vectors of sixteen ([`padded`]), and the values of the padding do not affect any
//! result.

mod adam;
mod buffer;
mod conv;
mod conv_weights;
mod elementwise;
mod finish;
mod layout;
mod math;
mod micro;
mod norm;
mod pool;
mod simd;
#[cfg(test)]
mod tests;
pub(crate) mod winograd;

pub(crate) use adam::{AdamFactors, adam};
pub(crate) use buffer::Buffer;
pub(crate) use conv::{Weighted, down, up};
pub(crate) use conv_weights::WeightGradient;
pub(crate) use elementwise::{activate_all, activation_gradient_all, each_pixel};
pub(crate) use finish::{Finish, finish_all};
pub(crate) use layout::{from_nchw, pack_down, pack_up, to_nchw};
pub(crate) use norm::{NormKernel, Statistics, channel_sums};
pub(crate) use simd::Isa;

/// The size of the batch in memory: whole vectors of sixteen samples.
pub(crate) fn padded(batch: usize) -> usize {
    batch.next_multiple_of(16)
}

/// A pointer that the tasks of one loop share. Each task writes its own elements.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: every caller that dereferences it guarantees disjoint elements.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new(slice: &mut [f32]) -> Self {
        Self(slice.as_mut_ptr())
    }

    /// The pointer to the element `offset`.
    ///
    /// # Safety
    /// `offset .. offset + len` is inside the slice, and no other task uses the elements that this
    /// task uses.
    unsafe fn at(self, offset: usize, len: usize) -> *mut f32 {
        let _ = len;
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe { self.0.add(offset) }
    }

    /// # Safety
    /// `offset .. offset + len` is inside the slice, and no other task uses it while the result
    /// lives.
    unsafe fn slice<'a>(self, offset: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), len) }
    }
}
