//! `nn.Conv2d`.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::fused::Multiplier;
use crate::init::{fan_in_uniform, normal};
use crate::params::Parameter;
use candle_core::Result;
use gan_ops::fused::Product;

/// The sizes of a convolution, in PyTorch's order. Kernel, stride and padding are square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convolution {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zeros around the image. A transposed convolution crops its output by as much.
    pub padding: usize,
    /// Whether each output channel has a bias. A batch norm that follows makes a bias
    /// superfluous.
    pub bias: bool,
    /// Standard deviation of the initial weights. They are normal with mean 0.
    pub deviation: f64,
}

impl Convolution {
    /// Number of the kernel's elements.
    pub(super) fn weights(&self) -> usize {
        self.inputs * self.outputs * self.kernel * self.kernel
    }

    /// The kernel's shape begins with `channels`. The initial weights are normal with mean 0. The
    /// bias has PyTorch's default: uniform on `+-1 / sqrt(fan_in)`, where `fan_in` is the number
    /// of the kernel's elements for one index of its first dimension.
    pub(super) fn parameters(&self, channels: [usize; 2]) -> Vec<Parameter> {
        let shape = [channels[0], channels[1], self.kernel, self.kernel];
        let mut parameters = vec![Parameter::trained("weight", shape, normal(0., self.deviation))];
        if self.bias {
            let first = fan_in_uniform(channels[1] * self.kernel * self.kernel);
            parameters.push(Parameter::trained("bias", [self.outputs], first));
        }
        parameters
    }
}

impl std::fmt::Display for Convolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { inputs, outputs, kernel, stride, padding, bias, .. } = self;
        write!(f, "{inputs}, {outputs}, {kernel}, stride={stride}, padding={padding}")?;
        if *bias { Ok(()) } else { f.write_str(", bias=False") }
    }
}

pub(super) struct Conv2d(pub(super) Convolution);

impl Kind for Conv2d {
    fn line(&self) -> String {
        format!("Conv2d({})", self.0)
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters([self.0.outputs, self.0.inputs])
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let c = &self.0;
        let &[channels, height, width] = input else { return None };
        let size = |s: usize| Some((s + 2 * c.padding).checked_sub(c.kernel)?.checked_div(c.stride)? + 1);
        (channels == c.inputs).then_some(())?;
        Some(vec![c.outputs, size(height)?, size(width)?])
    }

    /// Each weight is multiplied once for each pixel of the output. Products outside the image
    /// are counted too.
    fn multiplications(&self, _: &[usize], output: &[usize]) -> Vec<usize> {
        vec![self.0.weights() * output[1..].iter().product::<usize>()]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        let Convolution { stride, padding, .. } = self.0;
        let product = Product::Conv2d { stride, padding: [padding; 2] };
        Ok(Piece::Product(Multiplier::new(product, &self.parameters(), weights)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    const CONVOLUTION: Convolution =
        Convolution { inputs: 3, outputs: 8, kernel: 4, stride: 2, padding: 1, bias: true, deviation: 0.02 };

    #[test]
    fn shapes_follow_pytorchs_formulas() {
        let conv = Layer::Conv2d(CONVOLUTION);
        assert_eq!(conv.output_shape(&[3, 7, 8]), Some(vec![8, 3, 4]));
        assert_eq!(conv.output_shape(&[1, 7, 8]), None);
        assert_eq!(conv.output_shape(&[3, 1, 1]), None);
        assert_eq!(conv.parameters(), 3 * 8 * 16 + 8);
        assert_eq!(conv.multiplications(&[3, 7, 8]), [3 * 8 * 16 * 12]);
    }

    #[test]
    fn reads_like_pytorch() {
        let conv = Layer::Conv2d(Convolution { bias: false, ..CONVOLUTION });
        assert_eq!(conv.to_string(), "Conv2d(3, 8, 4, stride=2, padding=1, bias=False)");
    }
}
