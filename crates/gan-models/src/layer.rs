//! A network as data: the list a PyTorch user would hand to `nn.Sequential`.

/// One entry of an `nn.Sequential`. Its position in the list is its index in PyTorch, so that the
/// names of the parameters (`model.0.weight`) agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layer {
    /// `nn.Linear(inputs, outputs)`.
    Linear {
        /// Features in.
        inputs: usize,
        /// Features out.
        outputs: usize,
    },
    /// `nn.Conv2d`.
    Conv2d(Convolution),
    /// `nn.ConvTranspose2d`.
    ConvTranspose2d(Convolution),
    /// `nn.BatchNorm2d(channels)`: eps 1e-5, momentum 0.1, affine.
    BatchNorm2d {
        /// Channels.
        channels: usize,
    },
    /// `nn.ReLU()`.
    Relu,
    /// `nn.LeakyReLU(slope)`.
    LeakyRelu(f64),
    /// `nn.Tanh()`.
    Tanh,
    /// `nn.Flatten()`.
    Flatten,
}

/// The numbers of a convolution, in PyTorch's order; kernel, stride and padding are square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zeros around the image (a transposed convolution crops by as much).
    pub padding: usize,
    /// Whether each output channel has a bias. A batch norm that follows makes it superfluous.
    pub bias: bool,
}

impl Layer {
    /// Number of trainable scalars.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match *self {
            Self::Linear { inputs, outputs } => inputs * outputs + outputs,
            Self::Conv2d(c) | Self::ConvTranspose2d(c) => {
                c.inputs * c.outputs * c.kernel * c.kernel + if c.bias { c.outputs } else { 0 }
            }
            Self::BatchNorm2d { channels } => 2 * channels,
            Self::Relu | Self::LeakyRelu(_) | Self::Tanh | Self::Flatten => 0,
        }
    }

    /// Shape of one sample's output (no batch dimension) for one sample's input, `None` where the
    /// layer cannot take it.
    #[must_use]
    pub fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        match (*self, input) {
            (Self::Linear { inputs, outputs }, &[n]) if n == inputs => Some(vec![outputs]),
            (Self::Conv2d(c), &[n, h, w]) if n == c.inputs => {
                let size =
                    |s: usize| Some((s + 2 * c.padding).checked_sub(c.kernel)?.checked_div(c.stride)? + 1);
                Some(vec![c.outputs, size(h)?, size(w)?])
            }
            (Self::ConvTranspose2d(c), &[n, h, w]) if n == c.inputs => {
                let size = |s: usize| {
                    let whole = s.checked_sub(1)? * c.stride + c.kernel;
                    whole.checked_sub(2 * c.padding).filter(|&size| size > 0 && c.stride > 0)
                };
                Some(vec![c.outputs, size(h)?, size(w)?])
            }
            (Self::BatchNorm2d { channels }, &[n, ..]) if n == channels => Some(input.to_vec()),
            (Self::Relu | Self::LeakyRelu(_) | Self::Tanh, _) => Some(input.to_vec()),
            (Self::Flatten, _) => Some(vec![input.iter().product()]),
            _ => None,
        }
    }
}

/// As PyTorch's `repr` has it, without the defaults.
impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Linear { inputs, outputs } => write!(f, "Linear({inputs}, {outputs})"),
            Self::Conv2d(c) => write!(f, "Conv2d({c})"),
            Self::ConvTranspose2d(c) => write!(f, "ConvTranspose2d({c})"),
            Self::BatchNorm2d { channels } => write!(f, "BatchNorm2d({channels})"),
            Self::Relu => f.write_str("ReLU"),
            Self::LeakyRelu(slope) => write!(f, "LeakyReLU({slope})"),
            Self::Tanh => f.write_str("Tanh"),
            Self::Flatten => f.write_str("Flatten"),
        }
    }
}

impl std::fmt::Display for Convolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { inputs, outputs, kernel, stride, padding, bias } = self;
        write!(f, "{inputs}, {outputs}, {kernel}, stride={stride}, padding={padding}")?;
        if *bias { Ok(()) } else { f.write_str(", bias=False") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_pytorchs_formulas() {
        let c = Convolution { inputs: 3, outputs: 8, kernel: 4, stride: 2, padding: 1, bias: true };
        assert_eq!(Layer::Conv2d(c).output_shape(&[3, 7, 8]), Some(vec![8, 3, 4]));
        assert_eq!(Layer::ConvTranspose2d(c).output_shape(&[3, 7, 8]), Some(vec![8, 14, 16]));
        assert_eq!(Layer::Conv2d(c).output_shape(&[1, 7, 8]), None);
        assert_eq!(Layer::Conv2d(c).output_shape(&[3, 1, 1]), None);
        assert_eq!(Layer::Flatten.output_shape(&[3, 7, 8]), Some(vec![168]));
        assert_eq!(Layer::Linear { inputs: 168, outputs: 1 }.output_shape(&[168]), Some(vec![1]));
        assert_eq!(Layer::Conv2d(c).parameters(), 3 * 8 * 16 + 8);
    }

    #[test]
    fn reads_like_pytorch() {
        let c = Convolution { inputs: 3, outputs: 8, kernel: 4, stride: 2, padding: 1, bias: false };
        assert_eq!(Layer::Conv2d(c).to_string(), "Conv2d(3, 8, 4, stride=2, padding=1, bias=False)");
    }
}
