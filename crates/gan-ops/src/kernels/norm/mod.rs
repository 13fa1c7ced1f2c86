//! Batch normalisation with its activation, forward and backward, and sums over channels.

mod passes;
mod walk;

use super::simd::{Isa, dispatch};
use super::{Shared, pool};
use crate::Activation;
use crate::geometry::Image;
use passes::{Backward, Forward, Sums};
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
        let Self { image, batch, .. } = self;
        assert_eq!((x.len(), y.len()), (image.len(batch), image.len(batch)));
        assert_eq!((self.weight.len(), self.bias.len()), (image.channels, image.channels));
        let (mut mean, mut var) = (vec![0.; image.channels], vec![0.; image.channels]);
        let [means, vars, y] = [&mut mean[..], &mut var[..], y].map(Shared::new);
        each_block(image, |channels| {
            let maps = Maps { image, batch, first: channels.start, count: channels.len() };
            // SAFETY: the offsets are in range because the lengths were checked; tasks differ in
            // the channels.
            unsafe {
                let (mean, var) = (means.slice(maps.first, maps.count), vars.slice(maps.first, maps.count));
                dispatch(isa, Forward { maps, norm: self, x, y, mean, var });
            }
        });
        Statistics { mean, var }
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
        let Self { image, batch, .. } = self;
        assert!([x.len(), y.len(), gradient.len()] == [image.len(batch); 3]);
        assert!([self.weight.len(), statistics.mean.len(), statistics.var.len()] == [image.channels; 3]);
        let (mut weight, mut bias) = (vec![0.; image.channels], vec![0.; image.channels]);
        let [weights, biases, gradient] = [&mut weight[..], &mut bias[..], gradient].map(Shared::new);
        each_block(image, |channels| {
            let maps = Maps { image, batch, first: channels.start, count: channels.len() };
            // SAFETY: the offsets are in range because the lengths were checked; tasks differ in
            // the channels.
            unsafe {
                let (weight, bias) =
                    (weights.slice(maps.first, maps.count), biases.slice(maps.first, maps.count));
                dispatch(isa, Backward { maps, norm: self, statistics, x, y, gradient, weight, bias });
            }
        });
        [weight, bias]
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
