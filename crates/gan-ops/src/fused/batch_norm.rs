//! Batch norm, forward and backward, with its running statistics.

use super::{BatchNorm, Maps};
use crate::Activation;
use crate::geometry::Image;
use crate::kernels::{Buffer, Isa, NormKernel, Statistics};
use crate::ranks::AllReduce;
use crate::slices;
use candle_core::{Result, Tensor};

impl BatchNorm {
    pub(crate) fn forward(&self, x: &Maps, activation: Activation) -> Result<(Maps, Statistics)> {
        let values = self.values(x.image.pixels() * x.batch);
        if values < 2 {
            candle_core::bail!(
                "batch norm needs more than one value per channel in training, x is {:?}",
                x.image()
            )
        }
        let mut y = Buffer::new(x.values.len());
        let isa = Isa::best();
        let statistics = self.with_kernel(x.image, x.batch, activation, |norm| {
            let Some(ranks) = &self.ranks else { return Ok(norm.forward(isa, &x.values, &mut y)) };
            let statistics = over_ranks(norm.statistics(isa, &x.values), &**ranks)?;
            norm.forward_with(isa, &statistics, &x.values, &mut y);
            Result::Ok(statistics)
        })??;
        let unbiased = values as f32 / (values - 1) as f32;
        let towards = |running: &mut [f32], batch: &[f32], factor: f32| {
            let momentum = self.momentum as f32;
            for (r, b) in running.iter_mut().zip(batch) {
                *r = (1. - momentum) * *r + momentum * (b * factor);
            }
        };
        slices::write(&self.running_mean, |mean| towards(mean, &statistics.mean, 1.))?;
        slices::write(&self.running_var, |var| towards(var, &statistics.var, unbiased))?;
        Ok((Maps::new(x.image, x.batch, y), statistics))
    }

    /// Replaces `gradient`, the gradient of `y`, by the gradient of `x`. Returns the gradients of
    /// weight and bias. They are those of this rank's samples.
    pub(crate) fn backward(
        &self,
        x: &Maps,
        statistics: &Statistics,
        y: &Maps,
        activation: Activation,
        gradient: &mut [f32],
    ) -> Result<[Vec<f32>; 2]> {
        let (isa, maps) = (Isa::best(), [&x.values[..], &y.values[..]]);
        self.with_kernel(x.image, x.batch, activation, |norm| {
            let Some(ranks) = &self.ranks else { return Ok(norm.backward(isa, statistics, maps, gradient)) };
            let own = norm.backward_sums(isa, statistics, maps, gradient);
            let mut all = own.concat();
            ranks.all_reduce(&mut all)?;
            let (weight, bias) = all.split_at(own[0].len());
            norm.backward_with(isa, (statistics, [weight, bias], ranks.ranks()), maps, gradient);
            Ok(own)
        })?
    }

    fn with_kernel<T>(
        &self,
        image: Image,
        batch: usize,
        activation: Activation,
        f: impl FnOnce(NormKernel<'_>) -> T,
    ) -> Result<T> {
        let channels =
            [&self.weight, &self.bias, &self.running_mean, &self.running_var].map(Tensor::elem_count);
        if channels != [image.channels; 4] || !activation.keeps_sign() {
            candle_core::bail!("batch norm of {channels:?} channels for {}, {activation:?}", image.channels)
        }
        slices::read(&self.weight.contiguous()?, |weight| {
            slices::read(&self.bias.contiguous()?, |bias| {
                f(NormKernel { image, batch, weight, bias, eps: self.eps, activation })
            })
        })?
    }
}

/// Joins the statistics of the parts of all ranks, which have the same size. The variance of all is the mean of
/// the variances, plus the variance of the means (Chan et al. 1983,
/// <https://doi.org/10.1080/00031305.1983.10483115>).
fn over_ranks(own: Statistics, ranks: &dyn AllReduce) -> Result<Statistics> {
    let share = 1. / ranks.ranks() as f32;
    let mut mean: Vec<f32> = own.mean.iter().map(|mean| mean * share).collect();
    ranks.all_reduce(&mut mean)?;
    let distances = own.mean.iter().zip(&mean).map(|(own, mean)| (own - mean).powi(2));
    let mut var: Vec<f32> =
        own.var.iter().zip(distances).map(|(var, square)| (var + square) * share).collect();
    ranks.all_reduce(&mut var)?;
    Ok(Statistics { mean, var })
}
