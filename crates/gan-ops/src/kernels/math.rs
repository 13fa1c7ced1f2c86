//! Elementary functions on sixteen floats.

use super::simd::Lanes;
use crate::Activation;

/// Computes `activation(x)`. NaN stays NaN.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn activate<V: Lanes>(x: V, activation: Activation) -> V {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        match activation {
            Activation::Identity => x,
            Activation::Relu => x.max(V::splat(0.)),
            Activation::LeakyRelu(slope) => x.if_positive(x, x.mul(V::splat(slope as f32))),
            Activation::Tanh => tanh(x),
        }
    }
}

/// Returns `gradient` times the derivative of the activation. `output` is the activation's result.
/// At 0 the derivative is the derivative of the negative side, as in PyTorch.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn activation_gradient<V: Lanes>(gradient: V, output: V, activation: Activation) -> V {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        match activation {
            Activation::Identity => gradient,
            Activation::Relu => output.if_positive(gradient, V::splat(0.)),
            Activation::LeakyRelu(slope) => {
                output.if_positive(gradient, gradient.mul(V::splat(slope as f32)))
            }
            Activation::Tanh => gradient.mul(V::splat(1.).sub(output.mul(output))),
        }
    }
}

/// Computes `exp(x)` with an error of 2 units in the last place between -87 and 88. Beyond these
/// limits it returns the value at the limit. NaN stays NaN.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        let x = x.max(V::splat(-87.)).min(V::splat(88.));
        // x = n ln 2 + r with |r| <= ln 2 / 2. ln 2 has two parts, and n times the first part is
        // exact.
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(V::splat(-0.693_359_4), x);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        // This is the polynomial of Cephes' expf (Moshier 1989).
        let mut p = V::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p.mul_add(r, V::splat(c));
        }
        p.mul_add(r.mul(r), r.add(V::splat(1.))).scale(n)
    }
}

/// Computes `tanh(x)` with an error of 3 units in the last place. NaN stays NaN.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn tanh<V: Lanes>(x: V) -> V {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        let zero = V::splat(0.);
        let magnitude = x.if_positive(x, zero.sub(x));
        // Near 0 this is the polynomial of Cephes' tanhf. Farther out it is 1 - 2 / (exp(2 |x|) +
        // 1), which would lose digits by cancellation near 0.
        let square = x.mul(x);
        let mut p = V::splat(-5.704_988_7e-3);
        for c in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
            p = p.mul_add(square, V::splat(c));
        }
        let near = p.mul(square).mul_add(x, x);
        let two = V::splat(2.);
        let far = V::splat(1.).sub(two.div(exp(magnitude.mul(two)).add(V::splat(1.))));
        let far = x.if_positive(far, zero.sub(far));
        magnitude.sub(V::splat(0.625)).if_positive(far, near)
    }
}
