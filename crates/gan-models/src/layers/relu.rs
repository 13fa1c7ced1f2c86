//! `nn.ReLU`.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::Activation;

pub(super) struct Relu;

impl Kind for Relu {
    fn line(&self) -> String {
        "ReLU".to_owned()
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
        Ok(Piece::Activation(Activation::Relu))
    }
}
