//! `nn.Tanh`.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::Activation;

pub(super) struct Tanh;

impl Kind for Tanh {
    fn line(&self) -> String {
        "Tanh".to_owned()
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

    /// A change of the weights changes Tanh's slope, and the second order of a fused stage does
    /// not include that change.
    fn second_order(&self) -> SecondOrder {
        SecondOrder::Refused("Tanh has no second order here".to_owned())
    }

    fn piece(&self, _: &mut Weights) -> Result<Piece> {
        Ok(Piece::Activation(Activation::Tanh))
    }
}
