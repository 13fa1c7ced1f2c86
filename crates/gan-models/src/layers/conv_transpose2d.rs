//! `nn.ConvTranspose2d`.

use super::{Convolution, Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::fused::Multiplier;
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::fused::Product;

pub(super) struct ConvTranspose2d(pub(super) Convolution);

impl Kind for ConvTranspose2d {
    fn line(&self) -> String {
        format!("ConvTranspose2d({})", self.0)
    }

    /// PyTorch stores a transposed convolution's kernel as `[in, out, k, k]`.
    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters([self.0.inputs, self.0.outputs])
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let c = &self.0;
        let &[channels, height, width] = input else { return None };
        let size = |s: usize| {
            let whole = s.checked_sub(1)? * c.stride + c.kernel;
            whole.checked_sub(2 * c.padding).filter(|&size| size > 0 && c.stride > 0)
        };
        (channels == c.inputs).then_some(())?;
        Some(vec![c.outputs, size(height)?, size(width)?])
    }

    /// Each weight is multiplied once for each pixel of the input. Products outside the image are
    /// counted too.
    fn multiplications(&self, input: &[usize], _: &[usize]) -> Vec<usize> {
        vec![self.0.weights() * input[1..].iter().product::<usize>()]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        let Convolution { stride, padding, .. } = self.0;
        let product = Product::ConvTranspose2d { stride, padding };
        Ok(Piece::Product(Multiplier::new(product, &self.parameters(), weights)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Convolution, Layer};

    #[test]
    fn shapes_follow_pytorchs_formulas() {
        let c = Convolution {
            inputs: 3,
            outputs: 8,
            kernel: 4,
            stride: 2,
            padding: 1,
            bias: true,
            deviation: 0.02,
        };
        let conv = Layer::ConvTranspose2d(c);
        assert_eq!(conv.output_shape(&[3, 7, 8]), Some(vec![8, 14, 16]));
        assert_eq!(conv.output_shape(&[3, 7]), None);
        assert_eq!(conv.multiplications(&[3, 7, 8]), [3 * 8 * 16 * 56]);
    }
}
