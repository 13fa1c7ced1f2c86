//! Batch normalisation with its activation, forward and backward; sums over channels.

use super::conv::Image;
use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, math, padded, pool};
use crate::Activation;

/// Channels that one task takes: few enough that the later passes over them find them in the cache.
const CHANNELS: usize = 8;

/// What the forward pass computes per channel and the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    /// Divided by the number of values, as the normalisation takes it.
    pub(crate) var: Vec<f32>,
}

/// Batch normalisation of one layer's maps, with the activation that follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchNorm<'a> {
    pub(crate) image: Image,
    pub(crate) batch: usize,
    /// Scale of each channel.
    pub(crate) weight: &'a [f32],
    /// Shift of each channel.
    pub(crate) bias: &'a [f32],
    /// Added to the variance.
    pub(crate) eps: f64,
    pub(crate) activation: Activation,
}

impl BatchNorm<'_> {
    /// `y = activation((x - mean) / sqrt(var + eps) * weight + bias)` with the statistics of the batch.
    ///
    /// `x`, `y`: `[H W][C][N]`.
    pub(crate) fn forward(self, isa: Isa, x: &[f32], y: &mut [f32]) -> Statistics {
        let Self { image, batch, .. } = self;
        assert_eq!((x.len(), y.len()), (image.len(batch), image.len(batch)));
        assert_eq!((self.weight.len(), self.bias.len()), (image.channels, image.channels));
        let (mut mean, mut var) = (vec![0.; image.channels], vec![0.; image.channels]);
        let [means, vars, y] = [&mut mean[..], &mut var[..], y].map(Shared::new);
        each_block(image, |channels| {
            let maps = Maps { image, batch, first: channels.start, count: channels.len() };
            // SAFETY: in range, the lengths were checked; tasks differ in the channels.
            unsafe {
                let (mean, var) = (means.slice(maps.first, maps.count), vars.slice(maps.first, maps.count));
                dispatch(isa, Forward { maps, norm: self, x, y, mean, var });
            }
        });
        Statistics { mean, var }
    }

    /// Turns `gradient`, that of `y`, into that of `x`; returns the gradients of weight and bias.
    pub(crate) fn backward(
        self,
        isa: Isa,
        statistics: &Statistics,
        [x, y]: [&[f32]; 2],
        gradient: &mut [f32],
    ) -> [Vec<f32>; 2] {
        let Self { image, batch, .. } = self;
        assert!([x.len(), y.len(), gradient.len()] == [image.len(batch); 3]);
        assert!([self.weight.len(), statistics.mean.len(), statistics.var.len()] == [image.channels; 3]);
        let (mut weight, mut bias) = (vec![0.; image.channels], vec![0.; image.channels]);
        let [weights, biases, gradient] = [&mut weight[..], &mut bias[..], gradient].map(Shared::new);
        each_block(image, |channels| {
            let maps = Maps { image, batch, first: channels.start, count: channels.len() };
            // SAFETY: in range, the lengths were checked; tasks differ in the channels.
            unsafe {
                let (weight, bias) =
                    (weights.slice(maps.first, maps.count), biases.slice(maps.first, maps.count));
                dispatch(isa, Backward { maps, norm: self, statistics, x, y, gradient, weight, bias });
            }
        });
        [weight, bias]
    }
}

/// The sum of each channel over pixels and samples, the padding (which is zero in a gradient) included.
pub(crate) fn channel_sums(isa: Isa, image: Image, batch: usize, maps: &[f32]) -> Vec<f32> {
    assert_eq!(maps.len(), image.len(batch));
    let mut sums = vec![0.; image.channels];
    let shared = Shared::new(&mut sums);
    each_block(image, |channels| {
        let part = Maps { image, batch, first: channels.start, count: channels.len() };
        // SAFETY: in range; tasks differ in the channels.
        let sums = unsafe { shared.slice(part.first, part.count) };
        // SAFETY: the length was checked.
        unsafe { dispatch(isa, Sums { part, maps, out: sums }) };
    });
    sums
}

fn each_block(image: Image, task: impl Fn(std::ops::Range<usize>) + Sync) {
    pool::for_each(image.channels.div_ceil(CHANNELS), |i| {
        task(i * CHANNELS..image.channels.min((i + 1) * CHANNELS));
    });
}

/// The channels of one task.
#[derive(Clone, Copy)]
struct Maps {
    image: Image,
    batch: usize,
    first: usize,
    count: usize,
}

impl Maps {
    fn values(self) -> f64 {
        (self.image.pixels() * self.batch) as f64
    }

    /// Calls `visitor` for each vector of sixteen samples of each channel.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; what the visitor asks.
    #[inline(always)]
    unsafe fn each<V: Lanes, T: Visitor<V>>(self, visitor: &mut T) {
        let lanes = padded(self.batch);
        // The same channels of the next pixel lie on another page, where the processor does not look by itself.
        let ahead = self.image.channels * lanes;
        for pixel in 0..self.image.pixels() {
            for c in 0..self.count {
                let at = (pixel * self.image.channels + self.first + c) * lanes;
                for v in (0..lanes).step_by(16) {
                    // SAFETY: an offset of these maps; what the caller vouches for.
                    unsafe { visitor.visit(c, at + v, ahead, (self.batch - v).min(16)) }
                }
            }
        }
    }

    /// The mean of each channel over pixels and samples.
    ///
    /// # Safety
    /// As [`Self::each`].
    #[inline(always)]
    unsafe fn means<V: Lanes, T: Term<V>>(self, term: T) -> [f64; CHANNELS] {
        // SAFETY: what the caller vouches for.
        unsafe {
            let mut total = Total { term, sums: [V::splat(0.); CHANNELS] };
            self.each(&mut total);
            let mut means = [0.; CHANNELS];
            for c in 0..CHANNELS {
                means[c] = f64::from(total.sums[c].sum()) / self.values();
            }
            means
        }
    }
}

/// What [`Maps::each`] calls. Methods instead of closures, which would not be compiled with the vector instructions.
trait Visitor<V: Lanes> {
    /// `count` of the sixteen samples at `at` count; those at `at + ahead` will be visited soon, or do not exist.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; `at` is an offset of sixteen floats in the visitor's maps.
    unsafe fn visit(&mut self, channel: usize, at: usize, ahead: usize, count: usize);
}

/// What [`Maps::means`] averages.
trait Term<V: Lanes> {
    /// # Safety
    /// As [`Visitor::visit`].
    unsafe fn at(&self, channel: usize, at: usize, ahead: usize) -> V;
}

struct Total<V, T> {
    term: T,
    sums: [V; CHANNELS],
}

impl<V: Lanes, T: Term<V>> Visitor<V> for Total<V, T> {
    #[inline(always)]
    unsafe fn visit(&mut self, channel: usize, at: usize, ahead: usize, count: usize) {
        // SAFETY: what the caller vouches for.
        unsafe {
            let mut term = self.term.at(channel, at, ahead);
            if count < 16 {
                let mut lanes = [0.; 16];
                term.store(lanes.as_mut_ptr());
                lanes[count..].fill(0.);
                term = V::load(lanes.as_ptr());
            }
            self.sums[channel] = self.sums[channel].add(term);
        }
    }
}

/// The value itself.
struct Value<'a>(&'a [f32]);

impl<V: Lanes> Term<V> for Value<'_> {
    #[inline(always)]
    unsafe fn at(&self, _: usize, at: usize, ahead: usize) -> V {
        // SAFETY: what the caller vouches for.
        unsafe {
            V::prefetch(self.0.as_ptr().wrapping_add(at + ahead));
            V::load(self.0.as_ptr().add(at))
        }
    }
}

/// The square of the distance from a centre.
struct SquaredDistance<'a, V>(&'a [f32], [V; CHANNELS]);

impl<V: Lanes> Term<V> for SquaredDistance<'_, V> {
    #[inline(always)]
    unsafe fn at(&self, channel: usize, at: usize, _: usize) -> V {
        // SAFETY: what the caller vouches for.
        unsafe {
            let distance = V::load(self.0.as_ptr().add(at)).sub(self.1[channel]);
            distance.mul(distance)
        }
    }
}

struct Forward<'a> {
    maps: Maps,
    norm: BatchNorm<'a>,
    x: &'a [f32],
    y: Shared,
    mean: &'a mut [f32],
    var: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    /// # Safety
    /// Beside the instructions: `y` is as long as `x`, and these channels of it are this task's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { maps, norm, x, y: Shared(y), mean, var } = self;
        // SAFETY: `Maps` names offsets within maps of its image, which x and y are.
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
        // SAFETY: what the caller vouches for.
        unsafe {
            let normal =
                V::load(self.x.as_ptr().add(at)).sub(self.centre[c]).mul_add(self.scale[c], self.shift[c]);
            V::prefetch(self.y.wrapping_add(at + ahead));
            math::activate(normal, self.activation).store(self.y.add(at));
        }
    }
}

struct Backward<'a> {
    maps: Maps,
    norm: BatchNorm<'a>,
    statistics: &'a Statistics,
    x: &'a [f32],
    y: &'a [f32],
    gradient: Shared,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    /// # Safety
    /// Beside the instructions: `gradient` is as long as `x`, and these channels of it are this task's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { maps, norm, statistics, x, y, gradient: Shared(gradient), weight, bias } = self;
        // SAFETY: `Maps` names offsets within maps of its image, which x, y and gradient are.
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
    /// As [`Visitor::visit`].
    #[inline(always)]
    unsafe fn at<V: Lanes>(&self, at: usize) -> V {
        // SAFETY: what the caller vouches for.
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
    /// As [`Visitor::visit`].
    #[inline(always)]
    unsafe fn at(&self, c: usize, at: usize) -> V {
        // SAFETY: what the caller vouches for.
        unsafe { V::load(self.x.as_ptr().add(at)).sub(self.centre[c]).mul(self.inverse[c]) }
    }
}

/// Sums of the gradient and of its product with the normalised input. Beyond the batch the gradient is zero.
struct Sums2<'a, V> {
    inside: Inside<'a>,
    normal: Normal<'a, V>,
    plain: [V; CHANNELS],
    products: [V; CHANNELS],
}

impl<V: Lanes> Visitor<V> for Sums2<'_, V> {
    #[inline(always)]
    unsafe fn visit(&mut self, c: usize, at: usize, ahead: usize, _: usize) {
        // SAFETY: what the caller vouches for.
        unsafe {
            for source in [self.inside.y.as_ptr(), self.inside.gradient.cast_const(), self.normal.x.as_ptr()]
            {
                V::prefetch(source.wrapping_add(at + ahead));
            }
            let inside = self.inside.at::<V>(at);
            self.plain[c] = self.plain[c].add(inside);
            self.products[c] = inside.mul_add(self.normal.at(c, at), self.products[c]);
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
        // SAFETY: what the caller vouches for.
        unsafe {
            let centred = self.inside.at::<V>(at).sub(self.mean[c]);
            let centred = self.normal.at(c, at).mul_add(self.product[c], centred);
            let out = self.inside.gradient.add(at);
            centred.mul(self.factor[c]).store(out);
            std::slice::from_raw_parts_mut(out.add(count), 16 - count).fill(0.);
        }
    }
}

struct Sums<'a> {
    part: Maps,
    maps: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: `Maps` names offsets within maps of its image, which these are.
        let means = unsafe { self.part.means::<V, _>(Value(self.maps)) };
        for (sum, mean) in self.out.iter_mut().zip(means) {
            *sum = (mean * self.part.values()) as f32;
        }
    }
}
