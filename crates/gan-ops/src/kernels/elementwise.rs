//! Activations of plain slices.

use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, math, pool};
use crate::Activation;

/// Floats of one task: what a core goes through in some microseconds.
const CHUNK: usize = 16 * 1024;

/// `activation(x)` for each element.
pub(crate) fn activate_all(isa: Isa, activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut y = x.to_vec();
    each_chunk(isa, activation, &mut y, None);
    y
}

/// Multiplies `gradient` with the derivative of the activation where it gave `output`.
pub(crate) fn activation_gradient_all(
    isa: Isa,
    activation: Activation,
    output: &[f32],
    gradient: &mut [f32],
) {
    assert_eq!(output.len(), gradient.len());
    each_chunk(isa, activation, gradient, Some(output));
}

/// Calls `f` with each run of `at_once` values and its number, on all threads.
pub(crate) fn each_pixel(values: &mut [f32], at_once: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let count = values.len() / at_once;
    let runs = (CHUNK / at_once).max(1);
    let values = Shared::new(values);
    pool::for_each(count.div_ceil(runs), |task| {
        for i in task * runs..count.min((task + 1) * runs) {
            // SAFETY: in range; tasks differ in the run.
            f(i, unsafe { values.slice(i * at_once, at_once) });
        }
    });
}

fn each_chunk(isa: Isa, activation: Activation, values: &mut [f32], output: Option<&[f32]>) {
    let len = values.len();
    let values = Shared::new(values);
    pool::for_each(len.div_ceil(CHUNK), |i| {
        let range = i * CHUNK..len.min((i + 1) * CHUNK);
        // SAFETY: in range; tasks differ in the chunk. The kernel asks nothing more.
        unsafe {
            let values = values.slice(range.start, range.len());
            dispatch(isa, Elementwise { activation, values, output: output.map(|o| &o[range]) });
        }
    });
}

/// Forward without an output, else backward.
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
            // SAFETY: the caller vouches for the instructions.
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
    // SAFETY: arrays of sixteen; the caller vouches for the instructions.
    unsafe {
        let x = V::load(values.as_ptr());
        let y = match output {
            Some(output) => math::activation_gradient(x, V::load(output.as_ptr()), activation),
            None => math::activate(x, activation),
        };
        y.store(values.as_mut_ptr());
    }
}
