//! Vectors of sixteen floats, for every processor.
//!
//! A kernel is written once over [`Lanes`] and compiled for each instruction set. [`dispatch`]
//! chooses one at run time. Sixteen floats are one register of AVX-512, two of AVX2 and four of
//! NEON.

use std::sync::OnceLock;

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Plain Rust for every other processor. The other instruction sets are tested against it.
    Portable,
}

impl Isa {
    /// Returns the best instruction set of this processor.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Returns every instruction set of this processor, the best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if fma && is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512);
            }
            if fma {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self::Neon);
        }
        found.push(Self::Portable);
        found
    }
}

/// A computation over any [`Lanes`]. Its `run`, and everything that `run` calls, must be
/// `#[inline(always)]`. Then the compiler uses the instruction set of the function that calls it.
/// Closures are not allowed: the compiler may turn a closure into a separate function, which lacks
/// these instructions.
pub(crate) trait Kernel {
    type Output;

    /// # Safety
    /// The processor has the instructions of `V`. An implementation may have more conditions.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// Runs `kernel` with the instructions of `isa`.
///
/// # Safety
/// The conditions of the kernel's `run`, except the instructions.
#[inline]
pub(crate) unsafe fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    // SAFETY: a value of `Isa` other than `Portable` comes only from `available`, which asked the
    // processor. The caller guarantees the rest.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86::with_avx512(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::with_avx2(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::with_neon(kernel),
            Isa::Portable => kernel.run::<Portable>(),
        }
    }
}

/// Sixteen floats.
///
/// # Safety
/// For every method: the processor has the implementation's instructions, and pointers are valid
/// for sixteen floats (no alignment is needed).
pub(crate) trait Lanes: Copy {
    /// Tile heights that keep all accumulators in registers. `TILE_ROWS[v - 1]` is the height of a
    /// tile that is `v` vectors wide, and the length is the largest width in vectors.
    const TILE_ROWS: &'static [usize];

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// Prefetches the cache line of `p`. The pointer need not be valid.
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        let _ = p;
    }
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self * a + b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger value in each lane. NaN in `self` stays.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller value in each lane. NaN in `self` stays.
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// Rounds to the nearest integer. A value halfway between two integers becomes the even one.
    unsafe fn round(self) -> Self;
    /// `self * 2^n` for whole `n` in [-126, 127].
    unsafe fn scale(self, n: Self) -> Self;
    /// `self > 0 ? yes : no` in each lane; `no` where `self` is NaN.
    unsafe fn if_positive(self, yes: Self, no: Self) -> Self;
    /// The sum of the lanes, always in the same order.
    unsafe fn sum(self) -> f32;

    /// Writes the transpose of a 16 x 16 block. The rows of the block are `src_row` floats apart,
    /// and the rows of the result are `dst_row` apart.
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_row: usize, dst: *mut f32, dst_row: usize) {
        for i in 0..16 {
            for j in 0..16 {
                // SAFETY: the caller guarantees both blocks.
                unsafe { *dst.add(j * dst_row + i) = *src.add(i * src_row + j) }
            }
        }
    }
}

/// Sixteen plain floats.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 16]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const TILE_ROWS: &'static [usize] = &[2];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 16])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller guarantees sixteen floats.
        Self(unsafe { p.cast::<[f32; 16]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller guarantees sixteen floats.
        unsafe { p.cast::<[f32; 16]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    // `f32::mul_add` would call a library function on processors without the instruction.
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { b } else { a })
    }

    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        self.zip(n, |a, n| a * f32::from_bits(((n as i32 + 127) << 23).cast_unsigned()))
    }

    #[inline(always)]
    unsafe fn if_positive(self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] > 0. { yes.0[i] } else { no.0[i] }))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut v = self.0;
        let mut half = 8;
        while half > 0 {
            for i in 0..half {
                v[i] += v[i + half];
            }
            half /= 2;
        }
        v[0]
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod neon;
