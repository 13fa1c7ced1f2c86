//! `nn.LeakyReLU` (Maas et al. 2013).

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::Activation;

/// The number is the slope for negative inputs.
pub(super) struct LeakyRelu(pub(super) f64);

impl Kind for LeakyRelu {
    fn line(&self) -> String {
        format!("LeakyReLU({})", self.0)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        Some(input.to_vec())
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    /// The function is two straight lines, so a small change of the weights does not change its
    /// slope.
    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, _: &mut Weights) -> Result<Piece> {
        Ok(Piece::Activation(Activation::LeakyRelu(self.0)))
    }
}
