//! The instructions of AVX-512 and AVX2.

use super::{Kernel, Lanes};
// This is `allow` and not `expect`, because clippy does not apply this lint to tests. There an
// expectation would fail.
#[allow(clippy::wildcard_imports, reason = "fifty intrinsics")]
use std::arch::x86_64::*;

/// # Safety
/// The conditions of the kernel's `run`.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn with_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the processor has these instructions; the caller guarantees the rest.
    unsafe { kernel.run::<__m512>() }
}

/// # Safety
/// The conditions of the kernel's `run`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the processor has these instructions; the caller guarantees the rest.
    unsafe { kernel.run::<Pair>() }
}

/// Writes one-line methods over intrinsics. The safety argument is the same for all of them.
macro_rules! methods {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $body:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $type),*) $(-> $out)? {
            // SAFETY: the caller guarantees the instructions and sixteen floats behind a pointer.
            unsafe { $body }
        }
    )*};
}

impl Lanes for __m512 {
    // There are 32 registers: 24 accumulators and the operands. A tile of one vector has only 14
    // accumulators, because it waits for broadcasts.
    const TILE_ROWS: &'static [usize] = &[14, 12, 8, 6];

    methods! {
        splat(x: f32) -> Self = _mm512_set1_ps(x);
        load(p: *const f32) -> Self = _mm512_loadu_ps(p);
        store(self: Self, p: *mut f32) = _mm512_storeu_ps(p, self);
        prefetch(p: *const f32) = _mm_prefetch::<_MM_HINT_T0>(p.cast());
        add(self: Self, other: Self) -> Self = _mm512_add_ps(self, other);
        sub(self: Self, other: Self) -> Self = _mm512_sub_ps(self, other);
        mul(self: Self, other: Self) -> Self = _mm512_mul_ps(self, other);
        div(self: Self, other: Self) -> Self = _mm512_div_ps(self, other);
        mul_add(self: Self, a: Self, b: Self) -> Self = _mm512_fmadd_ps(self, a, b);
        // If one operand is NaN, the instruction returns the second operand.
        max(self: Self, other: Self) -> Self = _mm512_max_ps(other, self);
        min(self: Self, other: Self) -> Self = _mm512_min_ps(other, self);
        sqrt(self: Self) -> Self = _mm512_sqrt_ps(self);
        round(self: Self) -> Self =
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self);
        scale(self: Self, n: Self) -> Self = _mm512_scalef_ps(self, n);
        if_positive(self: Self, yes: Self, no: Self) -> Self =
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, _mm512_setzero_ps()), no, yes);
        sum(self: Self) -> f32 = _mm512_reduce_add_ps(self);
    }

    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_row: usize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller guarantees both blocks and the instructions.
        unsafe {
            let mut r = [_mm512_setzero_ps(); 16];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_loadu_ps(src.add(i * src_row));
            }
            let mut t = r;
            for i in 0..8 {
                t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            // r[4g + c] holds rows 4g .. 4g + 4 of the columns c, c + 4, c + 8, c + 12, with one
            // column in each 128 bits.
            for g in 0..4 {
                let (a, b, c, d) = (t[4 * g], t[4 * g + 1], t[4 * g + 2], t[4 * g + 3]);
                r[4 * g] = _mm512_shuffle_ps::<0x44>(a, c);
                r[4 * g + 1] = _mm512_shuffle_ps::<0xee>(a, c);
                r[4 * g + 2] = _mm512_shuffle_ps::<0x44>(b, d);
                r[4 * g + 3] = _mm512_shuffle_ps::<0xee>(b, d);
            }
            for c in 0..4 {
                let (a, b) = (r[c], r[4 + c]);
                let (c4, d) = (r[8 + c], r[12 + c]);
                let low_even = _mm512_shuffle_f32x4::<0x88>(a, b);
                let low_odd = _mm512_shuffle_f32x4::<0xdd>(a, b);
                let high_even = _mm512_shuffle_f32x4::<0x88>(c4, d);
                let high_odd = _mm512_shuffle_f32x4::<0xdd>(c4, d);
                _mm512_storeu_ps(dst.add(c * dst_row), _mm512_shuffle_f32x4::<0x88>(low_even, high_even));
                _mm512_storeu_ps(
                    dst.add((c + 8) * dst_row),
                    _mm512_shuffle_f32x4::<0xdd>(low_even, high_even),
                );
                _mm512_storeu_ps(dst.add((c + 4) * dst_row), _mm512_shuffle_f32x4::<0x88>(low_odd, high_odd));
                _mm512_storeu_ps(
                    dst.add((c + 12) * dst_row),
                    _mm512_shuffle_f32x4::<0xdd>(low_odd, high_odd),
                );
            }
        }
    }
}

/// Two registers of AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256, __m256);

#[inline(always)]
unsafe fn sum8(v: __m256) -> f32 {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

#[inline(always)]
unsafe fn scale8(x: __m256, n: __m256) -> __m256 {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
    }
}

#[inline(always)]
unsafe fn if_positive8(x: __m256, yes: __m256, no: __m256) -> __m256 {
    // SAFETY: the caller guarantees the instructions.
    unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps())) }
}

impl Lanes for Pair {
    // There are 16 registers: 12 accumulators and the operands.
    const TILE_ROWS: &'static [usize] = &[6];

    methods! {
        splat(x: f32) -> Self = Self(_mm256_set1_ps(x), _mm256_set1_ps(x));
        load(p: *const f32) -> Self = Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8)));
        store(self: Self, p: *mut f32) = {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        };
        prefetch(p: *const f32) = _mm_prefetch::<_MM_HINT_T0>(p.cast());
        add(self: Self, o: Self) -> Self = Self(_mm256_add_ps(self.0, o.0), _mm256_add_ps(self.1, o.1));
        sub(self: Self, o: Self) -> Self = Self(_mm256_sub_ps(self.0, o.0), _mm256_sub_ps(self.1, o.1));
        mul(self: Self, o: Self) -> Self = Self(_mm256_mul_ps(self.0, o.0), _mm256_mul_ps(self.1, o.1));
        div(self: Self, o: Self) -> Self = Self(_mm256_div_ps(self.0, o.0), _mm256_div_ps(self.1, o.1));
        mul_add(self: Self, a: Self, b: Self) -> Self =
            Self(_mm256_fmadd_ps(self.0, a.0, b.0), _mm256_fmadd_ps(self.1, a.1, b.1));
        // If one operand is NaN, the instruction returns the second operand.
        max(self: Self, o: Self) -> Self = Self(_mm256_max_ps(o.0, self.0), _mm256_max_ps(o.1, self.1));
        min(self: Self, o: Self) -> Self = Self(_mm256_min_ps(o.0, self.0), _mm256_min_ps(o.1, self.1));
        sqrt(self: Self) -> Self = Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1));
        round(self: Self) -> Self = Self(
            _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0),
            _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.1),
        );
        scale(self: Self, n: Self) -> Self = Self(scale8(self.0, n.0), scale8(self.1, n.1));
        if_positive(self: Self, yes: Self, no: Self) -> Self =
            Self(if_positive8(self.0, yes.0, no.0), if_positive8(self.1, yes.1, no.1));
        sum(self: Self) -> f32 = sum8(_mm256_add_ps(self.0, self.1));
    }
}
