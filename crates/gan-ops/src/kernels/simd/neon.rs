//! The instructions of NEON.

use super::{Kernel, Lanes};
// This is `allow` and not `expect`, because clippy does not apply this lint to tests. There an
// expectation would fail.
#[allow(clippy::wildcard_imports, reason = "twenty intrinsics")]
use std::arch::aarch64::*;

/// # Safety
/// The conditions of the kernel's `run`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_neon<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the processor has these instructions; the caller guarantees the rest.
    unsafe { kernel.run::<Quad>() }
}

/// Four registers of NEON.
#[derive(Clone, Copy)]
pub(crate) struct Quad([float32x4_t; 4]);

/// Writes methods that treat the four registers alike. The safety argument is the same for all of
/// them.
macro_rules! four {
    ($($name:ident($($arg:ident),*) = |$($v:ident),*| $body:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: the caller guarantees the instructions.
            Self(std::array::from_fn(|i| unsafe {
                let ($($v,)*) = (self.0[i] $(, $arg.0[i])*,);
                $body
            }))
        }
    )*};
}

impl Lanes for Quad {
    // There are 32 registers: 24 accumulators and the operands.
    const TILE_ROWS: &'static [usize] = &[6];

    four! {
        add(o) = |a, b| vaddq_f32(a, b);
        sub(o) = |a, b| vsubq_f32(a, b);
        mul(o) = |a, b| vmulq_f32(a, b);
        div(o) = |a, b| vdivq_f32(a, b);
        mul_add(x, y) = |a, b, c| vfmaq_f32(c, a, b);
        max(o) = |a, b| vmaxq_f32(a, b);
        min(o) = |a, b| vminq_f32(a, b);
        sqrt() = |a| vsqrtq_f32(a);
        round() = |a| vrndnq_f32(a);
        scale(n) = |a, e| {
            let exponent = vaddq_s32(vcvtnq_s32_f32(e), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        };
        if_positive(yes, no) = |a, y, n| vbslq_f32(vcgtzq_f32(a), y, n);
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self([unsafe { vdupq_n_f32(x) }; 4])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller guarantees sixteen floats.
        Self(std::array::from_fn(|i| unsafe { vld1q_f32(p.add(4 * i)) }))
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        for (i, v) in self.0.into_iter().enumerate() {
            // SAFETY: the caller guarantees sixteen floats.
            unsafe { vst1q_f32(p.add(4 * i), v) }
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller guarantees the instructions.
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(self.0[0], self.0[2]), vaddq_f32(self.0[1], self.0[3]))) }
    }
}
