//! Kernels for the CPU: slices in, slices out.
//!
//! Activations lie pixel by pixel, then channel by channel, the samples of the batch innermost: `[H][W][C][N]`. The
//! channels of one pixel are then a dense matrix `[C][N]` that the inner loop reads as it is, adjacent pixels continue
//! it, and what lies outside the image is left out instead of being multiplied by zero: no im2col, no packing, no
//! padding. The innermost dimension is padded to whole vectors of sixteen ([`padded`]), whose values never count.

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
pub(crate) use conv::{down, up};
pub(crate) use conv_weights::WeightGradient;
pub(crate) use elementwise::{activate_all, activation_gradient_all, each_pixel};
pub(crate) use finish::{Finish, finish_all};
pub(crate) use layout::{from_nchw, pack_down, pack_up, to_nchw};
pub(crate) use norm::{NormKernel, Statistics, channel_sums};
pub(crate) use simd::Isa;

/// The batch as it lies in memory: whole vectors of sixteen samples.
pub(crate) fn padded(batch: usize) -> usize {
    batch.next_multiple_of(16)
}

/// A pointer that tasks of one loop share; each writes elements of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: whoever dereferences it answers for disjoint elements.
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
    /// `offset .. offset + len` lies in the slice, and of it no other task touches what this one uses.
    unsafe fn at(self, offset: usize, len: usize) -> *mut f32 {
        let _ = len;
        // SAFETY: what the caller vouches for.
        unsafe { self.0.add(offset) }
    }

    /// # Safety
    /// `offset .. offset + len` lies in the slice, and no other task touches it while the result lives.
    unsafe fn slice<'a>(self, offset: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: what the caller vouches for.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), len) }
    }
}
