//! `nn.BatchNorm2d` (Ioffe and Szegedy 2015, arXiv 1502.03167).

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::fused::Normaliser;
use crate::init::{DCGAN_DEVIATION, constant, normal};
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::fused::BatchNorm;

/// How far a batch moves the running statistics. It is PyTorch's default.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;
/// PyTorch's default.
const EPS: f64 = 1e-5;

pub(super) struct BatchNorm2d {
    pub(super) channels: usize,
}

impl Kind for BatchNorm2d {
    fn line(&self) -> String {
        format!("BatchNorm2d({})", self.channels)
    }

    /// The initial weights are as in DCGAN (Radford et al. 2016, section 4, and the PyTorch
    /// tutorial's `weights_init`).
    fn parameters(&self) -> Vec<Parameter> {
        let shape = [self.channels];
        vec![
            Parameter::trained("weight", shape, normal(1., DCGAN_DEVIATION)),
            Parameter::trained("bias", shape, constant(0.)),
            Parameter::statistic("running_mean", shape, constant(0.)),
            Parameter::statistic("running_var", shape, constant(1.)),
        ]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        (input.first() == Some(&self.channels)).then(|| input.to_vec())
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        true
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::coupled(&self.line())
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        let first = weights.next_name()?;
        let [weight, bias, running_mean, running_var] = weights.take()?;
        let norm = BatchNorm {
            weight,
            bias,
            running_mean,
            running_var,
            eps: EPS,
            momentum: BATCH_NORM_MOMENTUM,
            ranks: weights.ranks(),
        };
        Ok(Piece::Norm(Normaliser { norm, first }))
    }
}
