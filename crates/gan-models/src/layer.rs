//! A network as data: the list a PyTorch user would hand to `nn.Sequential`.

/// One entry of an `nn.Sequential`. Its position in the list is its index in PyTorch, so that the
/// names of the parameters (`model.0.weight`) agree.
#[derive(Debug, Clone, PartialEq)]
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
    /// `nn.Upsample(scale_factor=2)`: each pixel as 2x2.
    Upsample,
    /// `nn.AvgPool2d(2)` of an even size.
    AvgPool2d,
    /// One more channel with the samples' standard deviation (Karras et al. 2018, arXiv 1710.10196, section 3).
    MinibatchStd {
        /// Samples that are compared with each other.
        group: usize,
    },
    /// `spectral_norm` of PyTorch's `nn.utils.parametrizations` around a `Linear` or a `Conv2d` (Miyato et al. 2018,
    /// arXiv 1802.05957).
    SpectralNorm(Box<Layer>),
    /// `body(x) + shortcut(x)`, each an `nn.Sequential` (He et al. 2016, arXiv 1512.03385); an empty one gives its input.
    Residual {
        /// Its weights are `body.0.weight`, ...
        body: Vec<Layer>,
        /// Its weights are `shortcut.0.weight`, ...
        shortcut: Vec<Layer>,
    },
}

/// The numbers of a convolution, in PyTorch's order; kernel, stride and padding are square.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Standard deviation of the initial weights, which are normal about 0.
    pub deviation: f64,
}

impl Layer {
    /// Number of trainable scalars.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self {
            Self::Linear { inputs, outputs } => inputs * outputs + outputs,
            Self::Conv2d(c) | Self::ConvTranspose2d(c) => {
                c.inputs * c.outputs * c.kernel * c.kernel + if c.bias { c.outputs } else { 0 }
            }
            Self::BatchNorm2d { channels } => 2 * channels,
            Self::SpectralNorm(layer) => layer.parameters(),
            Self::Residual { body, shortcut } => body.iter().chain(shortcut).map(Self::parameters).sum(),
            Self::Relu
            | Self::LeakyRelu(_)
            | Self::Tanh
            | Self::Flatten
            | Self::Upsample
            | Self::AvgPool2d
            | Self::MinibatchStd { .. } => 0,
        }
    }

    /// Shape of one sample's output (no batch dimension) for one sample's input, `None` where the
    /// layer cannot take it.
    #[must_use]
    pub fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        match (self, input) {
            (Self::Linear { inputs, outputs }, &[n]) if n == *inputs => Some(vec![*outputs]),
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
            (Self::BatchNorm2d { channels }, &[n, ..]) if n == *channels => Some(input.to_vec()),
            (Self::Relu | Self::LeakyRelu(_) | Self::Tanh, _) => Some(input.to_vec()),
            (Self::Flatten, _) => Some(vec![input.iter().product()]),
            (Self::Upsample, &[n, h, w]) => Some(vec![n, 2 * h, 2 * w]),
            (Self::AvgPool2d, &[n, h, w]) if h % 2 == 0 && w % 2 == 0 => Some(vec![n, h / 2, w / 2]),
            (Self::MinibatchStd { .. }, &[n, ..]) => Some([&[n + 1], &input[1..]].concat()),
            (Self::SpectralNorm(layer), _) => layer.output_shape(input),
            (Self::Residual { body, shortcut }, _) => {
                let [y, other] = [body, shortcut].map(|layers| output_shape(layers, input));
                if y == other { y } else { None }
            }
            _ => None,
        }
    }
}

/// Shape of one sample's output of the layers one after the other.
pub(crate) fn output_shape(layers: &[Layer], input: &[usize]) -> Option<Vec<usize>> {
    layers.iter().try_fold(input.to_vec(), |shape, layer| layer.output_shape(&shape))
}

/// As PyTorch's `repr` has it, without the defaults.
impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linear { inputs, outputs } => write!(f, "Linear({inputs}, {outputs})"),
            Self::Conv2d(c) => write!(f, "Conv2d({c})"),
            Self::ConvTranspose2d(c) => write!(f, "ConvTranspose2d({c})"),
            Self::BatchNorm2d { channels } => write!(f, "BatchNorm2d({channels})"),
            Self::Relu => f.write_str("ReLU"),
            Self::LeakyRelu(slope) => write!(f, "LeakyReLU({slope})"),
            Self::Tanh => f.write_str("Tanh"),
            Self::Flatten => f.write_str("Flatten"),
            Self::Upsample => f.write_str("Upsample(2)"),
            Self::AvgPool2d => f.write_str("AvgPool2d(2)"),
            Self::MinibatchStd { group } => write!(f, "MinibatchStd({group})"),
            Self::SpectralNorm(layer) => write!(f, "spectral_norm({layer})"),
            Self::Residual { body, shortcut } => {
                let list =
                    |layers: &[Self]| layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "Residual({}", list(body))?;
                if !shortcut.is_empty() {
                    write!(f, "; shortcut: {}", list(shortcut))?;
                }
                f.write_str(")")
            }
        }
    }
}

impl std::fmt::Display for Convolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { inputs, outputs, kernel, stride, padding, bias, .. } = self;
        write!(f, "{inputs}, {outputs}, {kernel}, stride={stride}, padding={padding}")?;
        if *bias { Ok(()) } else { f.write_str(", bias=False") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let c = Convolution {
            inputs: 3,
            outputs: 8,
            kernel: 4,
            stride: 2,
            padding: 1,
            bias: false,
            deviation: 0.02,
        };
        assert_eq!(Layer::Conv2d(c).to_string(), "Conv2d(3, 8, 4, stride=2, padding=1, bias=False)");
    }
}
