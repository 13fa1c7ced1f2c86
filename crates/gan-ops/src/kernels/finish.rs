//! Operations on a product while it is still in the cache. They are the bias, the scale, the
//! activation and the activation's gradient.

use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, math, padded, pool};
use crate::Activation;
use crate::geometry::Image;

/// The operation on each element of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// No operation: the element stays.
    Keep,
    /// `activation(scale * x + shift)`. Scale and shift have one value for each channel.
    Forward { scale: Option<&'a [f32]>, shift: Option<&'a [f32]>, activation: Activation },
    /// `x` times the derivative of the activation. `output` is the activation's result, in the
    /// same order as the product.
    Backward { output: &'a [f32], activation: Activation },
}

/// The elements to finish: `rows` channels from `channel` on, `16 * vectors` columns. The rows are
/// `row` floats apart.
#[derive(Clone, Copy)]
pub(super) struct Results {
    /// Their first position in the whole output.
    pub(super) at: usize,
    pub(super) channel: usize,
    pub(super) rows: usize,
    pub(super) vectors: usize,
    pub(super) row: usize,
    /// A pointer to them. No other task uses these values.
    pub(super) values: *mut f32,
}

/// Finishes `results`.
///
/// # Safety
/// The results are within one buffer, and no other thread uses them.
pub(super) unsafe fn finish(isa: Isa, finish: Finish<'_>, results: Results) {
    let Results { at, channel, rows, vectors, row, .. } = results;
    let channels = channel..channel + rows;
    match finish {
        Finish::Keep
        | Finish::Forward { scale: None, shift: None, activation: Activation::Identity }
        | Finish::Backward { activation: Activation::Identity, .. } => {}
        Finish::Forward { scale, shift, activation } => {
            let (scale, shift) = (scale.map(|s| &s[channels.clone()]), shift.map(|s| &s[channels]));
            // SAFETY: the caller guarantees the conditions of this function. Scale and shift were
            // cut to the rows.
            unsafe { dispatch(isa, Forward { results, scale, shift, activation }) };
        }
        Finish::Backward { output, activation } => {
            let output = &output[at..at + (rows - 1) * row + 16 * vectors];
            // SAFETY: the caller guarantees the conditions of this function. `output` was cut to
            // the extent of the results.
            unsafe { dispatch(isa, Backward { results, output, activation }) };
        }
    }
}

/// Finishes all of `maps`, `[H W][C][N]`, without a product before it.
pub(crate) fn finish_all(isa: Isa, image: Image, batch: usize, maps: &mut [f32], end: Finish<'_>) {
    assert_eq!(maps.len(), image.len(batch));
    let row = padded(batch);
    let at_once = image.channels * row;
    let shared = Shared::new(maps);
    pool::for_each(image.pixels(), |pixel| {
        let at = pixel * at_once;
        // SAFETY: the range is inside the maps, and each task has its own pixel.
        unsafe {
            let values = shared.at(at, at_once);
            finish(
                isa,
                end,
                Results { at, channel: 0, rows: image.channels, vectors: row / 16, row, values },
            );
        }
    });
}

struct Forward<'a> {
    results: Results,
    scale: Option<&'a [f32]>,
    shift: Option<&'a [f32]>,
    activation: Activation,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Results { rows, vectors, row, values, .. } = self.results;
        for r in 0..rows {
            // SAFETY: only this call uses `results`; scale and shift have one float for each of
            // its rows.
            unsafe {
                let scale = V::splat(self.scale.map_or(1., |s| s[r]));
                let shift = V::splat(self.shift.map_or(0., |s| s[r]));
                for v in 0..vectors {
                    let at = values.add(r * row + 16 * v);
                    math::activate(V::load(at).mul_add(scale, shift), self.activation).store(at);
                }
            }
        }
    }
}

struct Backward<'a> {
    results: Results,
    output: &'a [f32],
    activation: Activation,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Results { rows, vectors, row, values, .. } = self.results;
        for r in 0..rows {
            for v in 0..vectors {
                // SAFETY: only this call uses `results`, and `output` was cut to their extent.
                unsafe {
                    let offset = r * row + 16 * v;
                    let output = V::load(self.output.as_ptr().add(offset));
                    let at = values.add(offset);
                    math::activation_gradient(V::load(at), output, self.activation).store(at);
                }
            }
        }
    }
}
