//! Batch normalisation with its activation, forward and backward, and sums over channels.

mod backward;
mod forward;
mod walk;

use super::simd::{Isa, dispatch};
use super::{Shared, pool};
use crate::Activation;
use crate::geometry::Image;
use backward::{Back, Backward, BackwardSums, BackwardWith, Sums};
use forward::{Forward, ForwardWith, Moments};
use walk::Maps;

/// Channels in one task. They are few, so that the later passes find them in the cache.
const CHANNELS: usize = 8;

/// Values per channel that the forward pass computes and the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    /// The variance divided by the number of values, as the normalisation needs it.
    pub(crate) var: Vec<f32>,
}

/// Batch normalisation of one layer's maps, with the activation after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormKernel<'a> {
    pub(crate) image: Image,
    pub(crate) batch: usize,
    /// Scale of each channel.
    pub(crate) weight: &'a [f32],
    /// Shift of each channel.
    pub(crate) bias: &'a [f32],
    /// Number that is added to the variance.
    pub(crate) eps: f64,
    pub(crate) activation: Activation,
}

impl NormKernel<'_> {
    /// Computes `y = activation((x - mean) / sqrt(var + eps) * weight + bias)` with the statistics
    /// of the batch.
    ///
    /// `x`, `y`: `[H W][C][N]`.
    pub(crate) fn forward(self, isa: Isa, x: &[f32], y: &mut [f32]) -> Statistics {
        self.check([x.len(), y.len()]);
        let y = Shared::new(y);
        self.each_statistics(|maps, mean, var| {
            // SAFETY: the lengths were checked; tasks differ in the channels.
            unsafe { dispatch(isa, Forward { maps, norm: self, x, y, mean, var }) }
        })
    }

    /// The statistics of these samples alone.
    pub(crate) fn statistics(self, isa: Isa, x: &[f32]) -> Statistics {
        self.check([x.len(); 2]);
        self.each_statistics(|maps, mean, var| {
            // SAFETY: the length was checked.
            unsafe { dispatch(isa, Moments { maps, x, mean, var }) }
        })
    }

    /// [`Self::forward`] with these statistics.
    pub(crate) fn forward_with(self, isa: Isa, statistics: &Statistics, x: &[f32], y: &mut [f32]) {
        self.check([x.len(), y.len()]);
        statistics.check(self.image);
        let y = Shared::new(y);
        self.each_block(|maps| {
            // SAFETY: the lengths were checked; tasks differ in the channels.
            unsafe { dispatch(isa, ForwardWith { maps, norm: self, statistics, x, y }) }
        });
    }

    /// Replaces `gradient`, the gradient of `y`, by the gradient of `x`. Returns the gradients of
    /// weight and bias.
    pub(crate) fn backward(
        self,
        isa: Isa,
        statistics: &Statistics,
        [x, y]: [&[f32]; 2],
        gradient: &mut [f32],
    ) -> [Vec<f32>; 2] {
        let back = self.back(statistics, [x, y], gradient);
        self.each_pair(|maps, weight, bias| {
            let sums = BackwardSums { back: back(maps), weight, bias };
            // SAFETY: the lengths were checked; tasks differ in the channels.
            unsafe { dispatch(isa, Backward(sums)) }
        })
    }

    /// The gradients of weight and bias alone.
    pub(crate) fn backward_sums(
        self,
        isa: Isa,
        statistics: &Statistics,
        [x, y]: [&[f32]; 2],
        gradient: &mut [f32],
    ) -> [Vec<f32>; 2] {
        let back = self.back(statistics, [x, y], gradient);
        self.each_pair(|maps, weight, bias| {
            // SAFETY: the lengths were checked.
            unsafe { dispatch(isa, BackwardSums { back: back(maps), weight, bias }) }
        })
    }

    /// Replaces `gradient` as [`Self::backward`] does. The batch consists of `parts` parts as large as this
    /// one, and `sums` are those of [`Self::backward_sums`] over all of them.
    pub(crate) fn backward_with(
        self,
        isa: Isa,
        (statistics, sums, parts): (&Statistics, [&[f32]; 2], usize),
        [x, y]: [&[f32]; 2],
        gradient: &mut [f32],
    ) {
        assert_eq!(sums.map(<[f32]>::len), [self.image.channels; 2]);
        let values = (self.image.pixels() * self.batch * parts) as f64;
        let back = self.back(statistics, [x, y], gradient);
        self.each_block(|maps| {
            // SAFETY: the lengths were checked; tasks differ in the channels.
            unsafe { dispatch(isa, BackwardWith { back: back(maps), sums, values }) }
        });
    }

    /// Checks the lengths, and returns what a task reads for its channels.
    fn back<'b>(
        &'b self,
        statistics: &'b Statistics,
        [x, y]: [&'b [f32]; 2],
        gradient: &mut [f32],
    ) -> impl Fn(Maps) -> Back<'b> + Sync {
        self.check([x.len(), y.len()]);
        self.check([gradient.len(); 2]);
        statistics.check(self.image);
        let (norm, gradient) = (*self, Shared::new(gradient));
        move |maps| Back { maps, norm, statistics, x, y, gradient }
    }

    fn check(&self, lengths: [usize; 2]) {
        assert_eq!(lengths, [self.image.len(self.batch); 2]);
        assert_eq!([self.weight.len(), self.bias.len()], [self.image.channels; 2]);
    }

    fn each_block(&self, task: impl Fn(Maps) + Sync) {
        let Self { image, batch, .. } = *self;
        each_block(image, |channels| {
            task(Maps { image, batch, first: channels.start, count: channels.len() });
        });
    }

    /// Calls `task` with its channels of two lists, which it fills.
    fn each_pair(&self, task: impl Fn(Maps, &mut [f32], &mut [f32]) + Sync) -> [Vec<f32>; 2] {
        let mut pair = [0, 1].map(|_| vec![0.; self.image.channels]);
        let [first, second] = &mut pair;
        let [first, second] = [first, second].map(|values| Shared::new(values));
        self.each_block(|maps| {
            // SAFETY: the ranges are inside the lists; tasks differ in the channels.
            unsafe { task(maps, first.slice(maps.first, maps.count), second.slice(maps.first, maps.count)) }
        });
        pair
    }

    fn each_statistics(&self, task: impl Fn(Maps, &mut [f32], &mut [f32]) + Sync) -> Statistics {
        let [mean, var] = self.each_pair(task);
        Statistics { mean, var }
    }
}

impl Statistics {
    fn check(&self, image: Image) {
        assert_eq!([self.mean.len(), self.var.len()], [image.channels; 2]);
    }
}

/// The sum of each channel over pixels and samples.
pub(crate) fn channel_sums(isa: Isa, image: Image, batch: usize, maps: &[f32]) -> Vec<f32> {
    assert_eq!(maps.len(), image.len(batch));
    let mut sums = vec![0.; image.channels];
    let shared = Shared::new(&mut sums);
    each_block(image, |channels| {
        let part = Maps { image, batch, first: channels.start, count: channels.len() };
        // SAFETY: the range is inside the sums; tasks differ in the channels.
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
