//! The backward passes over the channels of one task.

use super::walk::{Maps, Value, Visitor, first};
use super::{CHANNELS, NormKernel, Statistics};
use crate::Activation;
use crate::kernels::simd::{Kernel, Lanes};
use crate::kernels::{Shared, math};

/// What the passes of the backward pass read.
#[derive(Clone, Copy)]
pub(super) struct Back<'a> {
    pub(super) maps: Maps,
    pub(super) norm: NormKernel<'a>,
    pub(super) statistics: &'a Statistics,
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) gradient: Shared,
}

/// The sums of one task's channels: of the gradient times the normalised input, and of the gradient. They
/// are the gradients of weight and bias.
pub(super) struct BackwardSums<'a> {
    pub(super) back: Back<'a>,
    pub(super) weight: &'a mut [f32],
    pub(super) bias: &'a mut [f32],
}

impl Kernel for BackwardSums<'_> {
    type Output = ();

    /// # Safety
    /// The conditions of [`Backward::run`].
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller guarantees the conditions of this function.
        let [products, plain] = unsafe { self.back.sums::<V>() };
        for c in 0..self.back.maps.count {
            (self.weight[c], self.bias[c]) = (products[c] as f32, plain[c] as f32);
        }
    }
}

/// Replaces the gradient by that of the input, with sums over `values` values of each channel.
pub(super) struct BackwardWith<'a> {
    pub(super) back: Back<'a>,
    pub(super) sums: [&'a [f32]; 2],
    pub(super) values: f64,
}

impl Kernel for BackwardWith<'_> {
    type Output = ();

    /// # Safety
    /// The conditions of [`Backward::run`].
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let first = self.back.maps.first;
        let mut sums = [[0.; CHANNELS]; 2];
        for c in 0..self.back.maps.count {
            for i in 0..2 {
                sums[i][c] = f64::from(self.sums[i][first + c]);
            }
        }
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe { self.back.centre::<V>(sums, self.values) }
    }
}

/// [`BackwardSums`] and [`BackwardWith`] in one.
pub(super) struct Backward<'a>(pub(super) BackwardSums<'a>);

impl Kernel for Backward<'_> {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. `gradient` is as long as `x`, and only this task
    /// uses these channels of it.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self(BackwardSums { back, weight, bias }) = self;
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let sums = back.sums::<V>();
            for c in 0..back.maps.count {
                (weight[c], bias[c]) = (sums[0][c] as f32, sums[1][c] as f32);
            }
            back.centre::<V>(sums, back.maps.values());
        }
    }
}

impl<'a> Back<'a> {
    fn inside(&self) -> Inside<'a> {
        Inside { y: self.y, gradient: self.gradient.0, activation: self.norm.activation }
    }

    /// The normalised input, and the deviation of each channel.
    #[inline(always)]
    unsafe fn normal<V: Lanes>(&self) -> (Normal<'a, V>, [f64; CHANNELS]) {
        let Self { maps, norm, statistics, x, .. } = *self;
        // SAFETY: the caller guarantees the instructions of `V`.
        unsafe {
            let zero = [V::splat(0.); CHANNELS];
            let mut normal = Normal { x, centre: zero, inverse: zero };
            let mut deviation = [1f64; CHANNELS];
            for c in 0..maps.count {
                normal.centre[c] = V::splat(statistics.mean[maps.first + c]);
                deviation[c] = (f64::from(statistics.var[maps.first + c]) + norm.eps).sqrt();
                normal.inverse[c] = V::splat((1. / deviation[c]) as f32);
            }
            (normal, deviation)
        }
    }

    /// # Safety
    /// The conditions of [`Backward::run`].
    #[inline(always)]
    unsafe fn sums<V: Lanes>(&self) -> [[f64; CHANNELS]; 2] {
        // SAFETY: `Maps` gives offsets within maps of its image, and x, y and gradient are such maps.
        unsafe {
            let zero = [V::splat(0.); CHANNELS];
            let (normal, _) = self.normal::<V>();
            let mut sums = Sums2 { inside: self.inside(), normal, plain: zero, products: zero };
            self.maps.each(&mut sums);
            let mut found = [[0.; CHANNELS]; 2];
            for c in 0..self.maps.count {
                found[0][c] = f64::from(sums.products[c].sum());
                found[1][c] = f64::from(sums.plain[c].sum());
            }
            found
        }
    }

    /// # Safety
    /// The conditions of [`Backward::run`].
    #[inline(always)]
    unsafe fn centre<V: Lanes>(&self, [products, plain]: [[f64; CHANNELS]; 2], values: f64) {
        // SAFETY: as above.
        unsafe {
            let zero = [V::splat(0.); CHANNELS];
            let (normal, deviation) = self.normal::<V>();
            let mut centre =
                Centre { inside: self.inside(), normal, mean: zero, product: zero, factor: zero };
            for c in 0..self.maps.count {
                centre.mean[c] = V::splat((plain[c] / values) as f32);
                centre.product[c] = V::splat((-products[c] / values) as f32);
                let weight = f64::from(self.norm.weight[self.maps.first + c]);
                centre.factor[c] = V::splat((weight / deviation[c]) as f32);
            }
            self.maps.each(&mut centre);
        }
    }
}

/// The gradient before the activation.
#[derive(Clone, Copy)]
struct Inside<'a> {
    y: &'a [f32],
    gradient: *mut f32,
    activation: Activation,
}

impl Inside<'_> {
    /// # Safety
    /// The conditions of [`Visitor::visit`].
    #[inline(always)]
    unsafe fn at<V: Lanes>(&self, at: usize) -> V {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let output = V::load(self.y.as_ptr().add(at));
            math::activation_gradient(V::load(self.gradient.add(at)), output, self.activation)
        }
    }
}

/// The normalised input.
struct Normal<'a, V> {
    x: &'a [f32],
    centre: [V; CHANNELS],
    inverse: [V; CHANNELS],
}

impl<V: Lanes> Normal<'_, V> {
    /// # Safety
    /// The conditions of [`Visitor::visit`].
    #[inline(always)]
    unsafe fn at(&self, c: usize, at: usize) -> V {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe { V::load(self.x.as_ptr().add(at)).sub(self.centre[c]).mul(self.inverse[c]) }
    }
}

/// Sums of the gradient and of its product with the normalised input.
struct Sums2<'a, V> {
    inside: Inside<'a>,
    normal: Normal<'a, V>,
    plain: [V; CHANNELS],
    products: [V; CHANNELS],
}

impl<V: Lanes> Visitor<V> for Sums2<'_, V> {
    #[inline(always)]
    unsafe fn visit(&mut self, c: usize, at: usize, ahead: usize, count: usize) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            for source in [self.inside.y.as_ptr(), self.inside.gradient.cast_const(), self.normal.x.as_ptr()]
            {
                V::prefetch(source.wrapping_add(at + ahead));
            }
            let inside = first(self.inside.at::<V>(at), count);
            self.plain[c] = self.plain[c].add(inside);
            self.products[c] = inside.mul_add(first(self.normal.at(c, at), count), self.products[c]);
        }
    }
}

/// Writes the gradient of the input.
struct Centre<'a, V> {
    inside: Inside<'a>,
    normal: Normal<'a, V>,
    mean: [V; CHANNELS],
    product: [V; CHANNELS],
    factor: [V; CHANNELS],
}

impl<V: Lanes> Visitor<V> for Centre<'_, V> {
    #[inline(always)]
    unsafe fn visit(&mut self, c: usize, at: usize, _: usize, count: usize) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let centred = self.inside.at::<V>(at).sub(self.mean[c]);
            let centred = self.normal.at(c, at).mul_add(self.product[c], centred);
            let out = self.inside.gradient.add(at);
            centred.mul(self.factor[c]).store(out);
            std::slice::from_raw_parts_mut(out.add(count), 16 - count).fill(0.);
        }
    }
}

pub(super) struct Sums<'a> {
    pub(super) part: Maps,
    pub(super) maps: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: `Maps` gives offsets within maps of its image, and these are such maps.
        let means = unsafe { self.part.means::<V, _>(Value(self.maps)) };
        for (sum, mean) in self.out.iter_mut().zip(means) {
            *sum = (mean * self.part.values()) as f32;
        }
    }
}
