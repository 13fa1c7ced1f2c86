//! Adam in one pass over the parameters.

use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, pool};

/// Floats in one task. A core needs some microseconds for them.
const CHUNK: usize = 16 * 1024;

/// The factors of one step. They are the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamFactors {
    pub(crate) betas: [f32; 2],
    /// `1 - beta` for each of the two betas.
    pub(crate) rests: [f32; 2],
    /// `1 / sqrt(1 - beta2^t)`.
    pub(crate) correction: f32,
    /// `lr / (1 - beta1^t)`.
    pub(crate) rate: f32,
    pub(crate) eps: f32,
}

/// Updates the parameters and both moments:
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// p -= rate m / (sqrt(v) correction + eps)
/// ```
pub(crate) fn adam(
    isa: Isa,
    factors: &AdamFactors,
    param: &mut [f32],
    grad: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let len = param.len();
    assert!([grad.len(), first.len(), second.len()] == [len; 3]);
    let [param, first, second] = [param, first, second].map(Shared::new);
    pool::for_each(len.div_ceil(CHUNK), |i| {
        let (at, len) = (i * CHUNK, CHUNK.min(len - i * CHUNK));
        // SAFETY: the range is inside the slices, and each task has its own chunk.
        let (param, first, second) =
            unsafe { (param.slice(at, len), first.slice(at, len), second.slice(at, len)) };
        // SAFETY: the kernel has no further conditions.
        unsafe { dispatch(isa, Adam { factors, param, grad: &grad[at..at + len], first, second }) };
    });
}

struct Adam<'a> {
    factors: &'a AdamFactors,
    param: &'a mut [f32],
    grad: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Adam<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { factors, param, grad, first, second } = self;
        let whole = param.len() / 16 * 16;
        for i in (0..whole).step_by(16) {
            // SAFETY: all four slices have the same length; the caller guarantees the
            // instructions.
            unsafe {
                let (p, g) = (param.as_mut_ptr().add(i), grad.as_ptr().add(i));
                sixteen::<V>(factors, p, g, first.as_mut_ptr().add(i), second.as_mut_ptr().add(i));
            }
        }
        let rest = whole..param.len();
        if !rest.is_empty() {
            let [mut p, g, mut m, mut v] = [&*param, grad, &*first, &*second].map(|s| {
                let mut sixteen = [0.; 16];
                sixteen[..rest.len()].copy_from_slice(&s[rest.clone()]);
                sixteen
            });
            // SAFETY: these are arrays of sixteen floats; the caller guarantees the instructions.
            unsafe { sixteen::<V>(factors, p.as_mut_ptr(), g.as_ptr(), m.as_mut_ptr(), v.as_mut_ptr()) };
            for (slice, sixteen) in [(param, p), (first, m), (second, v)] {
                slice[rest.clone()].copy_from_slice(&sixteen[..rest.len()]);
            }
        }
    }
}

/// One step of sixteen parameters.
///
/// # Safety
/// The processor has the instructions of `V`. Each pointer points to sixteen floats.
#[inline(always)]
unsafe fn sixteen<V: Lanes>(f: &AdamFactors, p: *mut f32, g: *const f32, m: *mut f32, v: *mut f32) {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        let g = V::load(g);
        let mean = g.mul(V::splat(f.rests[0])).add(V::load(m).mul(V::splat(f.betas[0])));
        let square = g.mul(g).mul_add(V::splat(f.rests[1]), V::load(v).mul(V::splat(f.betas[1])));
        let denominator = square.sqrt().mul_add(V::splat(f.correction), V::splat(f.eps));
        mean.store(m);
        square.store(v);
        V::load(p).sub(mean.div(denominator).mul(V::splat(f.rate))).store(p);
    }
}
