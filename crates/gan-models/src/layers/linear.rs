//! `nn.Linear`.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::fused::Multiplier;
use crate::init::fan_in_uniform;
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::fused::Product;

pub(super) struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Kind for Linear {
    fn line(&self) -> String {
        format!("Linear({}, {})", self.inputs, self.outputs)
    }

    /// The initial values are PyTorch's default, Kaiming uniform with `a = sqrt(5)` (He et al.
    /// 2015): uniform on `+-1 / sqrt(fan_in)`.
    fn parameters(&self) -> Vec<Parameter> {
        let first = fan_in_uniform(self.inputs);
        vec![
            Parameter::trained("weight", [self.outputs, self.inputs], first),
            Parameter::trained("bias", [self.outputs], first),
        ]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        (input == [self.inputs]).then(|| vec![self.outputs])
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![self.inputs * self.outputs]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        Ok(Piece::Product(Multiplier::new(Product::Linear, &self.parameters(), weights)?))
    }
}
