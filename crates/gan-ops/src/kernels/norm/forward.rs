//! The forward passes over the channels of one task.

use super::walk::{Maps, SquaredDistance, Value, Visitor};
use super::{CHANNELS, NormKernel, Statistics};
use crate::Activation;
use crate::kernels::simd::{Kernel, Lanes};
use crate::kernels::{Shared, math};

pub(super) struct Forward<'a> {
    pub(super) maps: Maps,
    pub(super) norm: NormKernel<'a>,
    pub(super) x: &'a [f32],
    pub(super) y: Shared,
    pub(super) mean: &'a mut [f32],
    pub(super) var: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. `y` is as long as `x`, and only this task uses
    /// these channels of it.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { maps, norm, x, y: Shared(y), mean, var } = self;
        // SAFETY: `Maps` gives offsets within maps of its image, and x and y are such maps.
        unsafe {
            let (means, vars) = moments::<V>(maps, x);
            for c in 0..maps.count {
                (mean[c], var[c]) = (means[c] as f32, vars[c] as f32);
            }
            normalise::<V>(maps, norm, (mean, &vars), (x, y));
        }
    }
}

/// Normalises with statistics that are known already.
pub(super) struct ForwardWith<'a> {
    pub(super) maps: Maps,
    pub(super) norm: NormKernel<'a>,
    pub(super) statistics: &'a Statistics,
    pub(super) x: &'a [f32],
    pub(super) y: Shared,
}

impl Kernel for ForwardWith<'_> {
    type Output = ();

    /// # Safety
    /// The conditions of [`Forward::run`].
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { maps, norm, statistics, x, y: Shared(y) } = self;
        let mut vars = [0.; CHANNELS];
        for c in 0..maps.count {
            vars[c] = f64::from(statistics.var[maps.first + c]);
        }
        // SAFETY: `Maps` gives offsets within maps of its image, and x and y are such maps.
        unsafe { normalise::<V>(maps, norm, (&statistics.mean[maps.first..], &vars), (x, y)) }
    }
}

pub(super) struct Moments<'a> {
    pub(super) maps: Maps,
    pub(super) x: &'a [f32],
    pub(super) mean: &'a mut [f32],
    pub(super) var: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: `Maps` gives offsets within maps of its image, and x is such maps.
        let (means, vars) = unsafe { moments::<V>(self.maps, self.x) };
        for c in 0..self.maps.count {
            (self.mean[c], self.var[c]) = (means[c] as f32, vars[c] as f32);
        }
    }
}

/// The mean and the variance of each channel.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn moments<V: Lanes>(maps: Maps, x: &[f32]) -> ([f64; CHANNELS], [f64; CHANNELS]) {
    // SAFETY: `Maps` gives offsets within maps of its image; the caller guarantees the rest.
    unsafe {
        let means = maps.means::<V, _>(Value(x));
        let mut centre = [V::splat(0.); CHANNELS];
        for c in 0..maps.count {
            centre[c] = V::splat(means[c] as f32);
        }
        (means, maps.means::<V, _>(SquaredDistance(x, centre)))
    }
}

/// # Safety
/// The conditions of [`Forward::run`].
#[inline(always)]
unsafe fn normalise<V: Lanes>(
    maps: Maps,
    norm: NormKernel<'_>,
    (mean, vars): (&[f32], &[f64; CHANNELS]),
    (x, y): (&[f32], *mut f32),
) {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        let zero = [V::splat(0.); CHANNELS];
        let mut normalise =
            Normalise { x, y, activation: norm.activation, centre: zero, scale: zero, shift: zero };
        for c in 0..maps.count {
            normalise.centre[c] = V::splat(mean[c]);
            let scale = f64::from(norm.weight[maps.first + c]) / (vars[c] + norm.eps).sqrt();
            normalise.scale[c] = V::splat(scale as f32);
            normalise.shift[c] = V::splat(norm.bias[maps.first + c]);
        }
        maps.each(&mut normalise);
    }
}

struct Normalise<'a, V> {
    x: &'a [f32],
    y: *mut f32,
    activation: Activation,
    centre: [V; CHANNELS],
    scale: [V; CHANNELS],
    shift: [V; CHANNELS],
}

impl<V: Lanes> Visitor<V> for Normalise<'_, V> {
    #[inline(always)]
    unsafe fn visit(&mut self, c: usize, at: usize, ahead: usize, _: usize) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let normal =
                V::load(self.x.as_ptr().add(at)).sub(self.centre[c]).mul_add(self.scale[c], self.shift[c]);
            V::prefetch(self.y.wrapping_add(at + ahead));
            math::activate(normal, self.activation).store(self.y.add(at));
        }
    }
}
