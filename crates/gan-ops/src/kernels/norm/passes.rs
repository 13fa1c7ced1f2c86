//! The passes over the channels of one task.

use super::walk::{Maps, SquaredDistance, Value, Visitor, first};
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
            let zero = [V::splat(0.); CHANNELS];
            let mut normalise =
                Normalise { x, y, activation: norm.activation, centre: zero, scale: zero, shift: zero };
            let means = maps.means::<V, _>(Value(x));
            for c in 0..maps.count {
                mean[c] = means[c] as f32;
                normalise.centre[c] = V::splat(mean[c]);
            }
            let vars = maps.means::<V, _>(SquaredDistance(x, normalise.centre));
            for c in 0..maps.count {
                var[c] = vars[c] as f32;
                let scale = f64::from(norm.weight[maps.first + c]) / (vars[c] + norm.eps).sqrt();
                normalise.scale[c] = V::splat(scale as f32);
                normalise.shift[c] = V::splat(norm.bias[maps.first + c]);
            }
            maps.each(&mut normalise);
        }
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

pub(super) struct Backward<'a> {
    pub(super) maps: Maps,
    pub(super) norm: NormKernel<'a>,
    pub(super) statistics: &'a Statistics,
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) gradient: Shared,
    pub(super) weight: &'a mut [f32],
    pub(super) bias: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. `gradient` is as long as `x`, and only this task
    /// uses these channels of it.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { maps, norm, statistics, x, y, gradient: Shared(gradient), weight, bias } = self;
        // SAFETY: `Maps` gives offsets within maps of its image, and x, y and gradient are such
        // maps.
        unsafe {
            let zero = [V::splat(0.); CHANNELS];
            let inside = Inside { y, gradient, activation: norm.activation };
            let mut normal = Normal { x, centre: zero, inverse: zero };
            let mut deviation = [1f64; CHANNELS];
            for c in 0..maps.count {
                normal.centre[c] = V::splat(statistics.mean[maps.first + c]);
                deviation[c] = (f64::from(statistics.var[maps.first + c]) + norm.eps).sqrt();
                normal.inverse[c] = V::splat((1. / deviation[c]) as f32);
            }
            let mut sums = Sums2 { inside, normal, plain: zero, products: zero };
            maps.each(&mut sums);
            let Sums2 { normal, plain, products, .. } = sums;
            let mut centre = Centre { inside, normal, mean: zero, product: zero, factor: zero };
            for c in 0..maps.count {
                let (plain, product) = (f64::from(plain[c].sum()), f64::from(products[c].sum()));
                (bias[c], weight[c]) = (plain as f32, product as f32);
                centre.mean[c] = V::splat((plain / maps.values()) as f32);
                centre.product[c] = V::splat((-product / maps.values()) as f32);
                centre.factor[c] = V::splat((f64::from(norm.weight[maps.first + c]) / deviation[c]) as f32);
            }
            maps.each(&mut centre);
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
