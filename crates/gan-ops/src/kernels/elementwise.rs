//! Activations of plain slices.

use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, math, pool};
use crate::Activation;

/// Floats in one task. A core needs some microseconds for them.
const CHUNK: usize = 16 * 1024;

/// Computes `activation(x)` for each element.
pub(crate) fn activate_all(isa: Isa, activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut y = x.to_vec();
    each_chunk(isa, activation, &mut y, None);
    y
}

/// Multiplies `gradient` by the derivative of the activation. `output` is the activation's result.
pub(crate) fn activation_gradient_all(
    isa: Isa,
    activation: Activation,
    output: &[f32],
    gradient: &mut [f32],
) {
    assert_eq!(output.len(), gradient.len());
    each_chunk(isa, activation, gradient, Some(output));
}

/// Divides `values` into runs of `at_once` values. Calls `f` with the number and the values of
/// each run, on all threads.
pub(crate) fn each_pixel(values: &mut [f32], at_once: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let count = values.len() / at_once;
    let runs = (CHUNK / at_once).max(1);
    let values = Shared::new(values);
    pool::for_each(count.div_ceil(runs), |task| {
        for i in task * runs..count.min((task + 1) * runs) {
            // SAFETY: the range is inside the values, and each task has its own run.
            f(i, unsafe { values.slice(i * at_once, at_once) });
        }
    });
}

fn each_chunk(isa: Isa, activation: Activation, values: &mut [f32], output: Option<&[f32]>) {
    let len = values.len();
    let values = Shared::new(values);
    pool::for_each(len.div_ceil(CHUNK), |i| {
        let range = i * CHUNK..len.min((i + 1) * CHUNK);
        // SAFETY: the range is inside the slices, and each task has its own chunk. The kernel has
        // no further conditions.
        unsafe {
            let values = values.slice(range.start, range.len());
            dispatch(isa, Elementwise { activation, values, output: output.map(|o| &o[range]) });
        }
    });
}

/// Computes the activation if there is no output, else its gradient.
struct Elementwise<'a> {
    activation: Activation,
    values: &'a mut [f32],
    output: Option<&'a [f32]>,
}

impl Kernel for Elementwise<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { activation, values, output } = self;
        let (whole, rest) = values.as_chunks_mut::<16>();
        let outputs = output.map(<[f32]>::as_chunks::<16>);
        for (i, values) in whole.iter_mut().enumerate() {
            // SAFETY: the caller guarantees the instructions.
            unsafe { apply::<V>(activation, values, outputs.map(|(whole, _)| &whole[i])) };
        }
        let (mut values, mut last) = ([0.; 16], [0.; 16]);
        values[..rest.len()].copy_from_slice(rest);
        if let Some((_, output)) = outputs {
            last[..rest.len()].copy_from_slice(output);
        }
        // SAFETY: as above.
        unsafe { apply::<V>(activation, &mut values, outputs.map(|_| &last)) };
        rest.copy_from_slice(&values[..rest.len()]);
    }
}

/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn apply<V: Lanes>(activation: Activation, values: &mut [f32; 16], output: Option<&[f32; 16]>) {
    // SAFETY: these are arrays of sixteen floats; the caller guarantees the instructions.
    unsafe {
        let x = V::load(values.as_ptr());
        let y = match output {
            Some(output) => math::activation_gradient(x, V::load(output.as_ptr()), activation),
            None => math::activate(x, activation),
        };
        y.store(values.as_mut_ptr());
    }
}
