//! A network as data: the kinds of layers. Each kind has a file, which holds everything about it.
//!
//! To add a kind: write a file with a [`Kind`], add a variant to [`Layer`], and add the arm in
//! [`Layer::kind`] that the compiler then asks for.

mod avg_pool2d;
mod batch_norm2d;
mod conv2d;
mod conv_transpose2d;
mod dropout;
mod flatten;
mod leaky_relu;
mod linear;
mod minibatch_std;
mod pixel_norm;
mod relu;
mod residual;
mod spectral_norm;
mod tanh;
mod upsample;

pub use batch_norm2d::BATCH_NORM_MOMENTUM;
pub use conv2d::Convolution;
pub(crate) use spectral_norm::{Normalised, Spectral};

use crate::chain::{Piece, Weights};
use crate::params::Parameter;
use candle_core::Result;

/// One entry of an `nn.Sequential`. Its position in the list is its index in PyTorch, so the
/// names of the parameters (`model.0.weight`) agree.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// `nn.Linear(inputs, outputs)`.
    Linear {
        /// Number of input features.
        inputs: usize,
        /// Number of output features.
        outputs: usize,
    },
    /// `nn.Conv2d`.
    Conv2d(Convolution),
    /// `nn.ConvTranspose2d`.
    ConvTranspose2d(Convolution),
    /// `nn.BatchNorm2d(channels)`: eps 1e-5, momentum 0.1, affine.
    BatchNorm2d {
        /// Number of channels.
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
    /// `nn.Upsample(scale_factor=2)`: each pixel becomes 2x2 pixels.
    Upsample,
    /// `nn.AvgPool2d(2)`, for images of an even size.
    AvgPool2d,
    /// Adds one channel with the standard deviation over samples (Karras et al. 2018, arXiv
    /// 1710.10196, section 3).
    MinibatchStd {
        /// Number of samples that are compared with each other.
        group: usize,
    },
    /// Divides each pixel's channels by the root of their mean square (Karras et al. 2018, arXiv
    /// 1710.10196, section 4.2).
    PixelNorm,
    /// `nn.Dropout(p)` (Srivastava et al. 2014).
    Dropout {
        /// Share of the elements that become 0 in training. It is at least 0 and less than 1.
        p: f64,
    },
    /// A `Linear` or a `Conv2d` with `spectral_norm` of PyTorch's `nn.utils.parametrizations`
    /// (Miyato et al. 2018, arXiv 1802.05957).
    SpectralNorm(Box<Layer>),
    /// `body(x) + shortcut(x)`, each an `nn.Sequential` (He et al. 2016, arXiv 1512.03385). An
    /// empty one returns its input.
    Residual {
        /// The names of its weights are `body.0.weight`, ...
        body: Vec<Layer>,
        /// The names of its weights are `shortcut.0.weight`, ...
        shortcut: Vec<Layer>,
    },
}

/// The facts about one kind of layer, in the kind's own file. No method has a default, so that a
/// new kind cannot forget one.
pub(crate) trait Kind {
    /// The layer's line in a printed model: PyTorch's `repr` without default values.
    fn line(&self) -> String;

    /// The layer's tensors with PyTorch's names, in PyTorch's order, with shapes and initial
    /// values.
    fn parameters(&self) -> Vec<Parameter>;

    /// Shape of one sample's output for one sample's input, both without a batch dimension.
    /// `None` if the layer cannot take that input.
    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>>;

    /// Number of multiplications in a forward pass over one sample, for each weight that the
    /// layer multiplies by. The gradient of the input and the gradient of the weight take as many
    /// each. `output` is [`Self::output_shape`] of `input`.
    fn multiplications(&self, input: &[usize], output: &[usize]) -> Vec<usize>;

    /// Whether a sample's output depends on the other samples in training.
    fn couples_samples(&self) -> bool;

    /// Whether a penalty on the gradient at the network's input is possible with this layer.
    fn second_order(&self) -> SecondOrder;

    /// The layer's computation. It takes the tensors of [`Self::parameters`] from `weights`, in
    /// their order.
    fn piece(&self, weights: &mut Weights) -> Result<Piece>;
}

/// Whether a layer can compute how a gradient depends on the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecondOrder {
    /// The layer's stage computes it exactly.
    Exact,
    /// The layer cannot compute it. The text names the layer and says why.
    Refused(String),
}

impl SecondOrder {
    /// The text for a layer that makes a sample's output depend on the other samples.
    pub(crate) fn coupled(layer: &str) -> Self {
        Self::Refused(format!("{layer} couples the samples: there is no gradient of one sample's result"))
    }
}

/// Returns the error for a kind without second order.
fn refuse<T>(kind: &dyn Kind) -> Result<T> {
    match kind.second_order() {
        SecondOrder::Refused(reason) => candle_core::bail!("{reason}"),
        SecondOrder::Exact => candle_core::bail!("{} has no second order here", kind.line()),
    }
}

impl Layer {
    /// The only place that lists all kinds.
    pub(crate) fn kind(&self) -> Box<dyn Kind + '_> {
        match self {
            &Self::Linear { inputs, outputs } => Box::new(linear::Linear { inputs, outputs }),
            &Self::Conv2d(convolution) => Box::new(conv2d::Conv2d(convolution)),
            &Self::ConvTranspose2d(convolution) => Box::new(conv_transpose2d::ConvTranspose2d(convolution)),
            &Self::BatchNorm2d { channels } => Box::new(batch_norm2d::BatchNorm2d { channels }),
            Self::Relu => Box::new(relu::Relu),
            &Self::LeakyRelu(slope) => Box::new(leaky_relu::LeakyRelu(slope)),
            Self::Tanh => Box::new(tanh::Tanh),
            Self::Flatten => Box::new(flatten::Flatten),
            Self::Upsample => Box::new(upsample::Upsample),
            Self::AvgPool2d => Box::new(avg_pool2d::AvgPool2d),
            &Self::MinibatchStd { group } => Box::new(minibatch_std::MinibatchStd { group }),
            Self::PixelNorm => Box::new(pixel_norm::PixelNorm),
            &Self::Dropout { p } => Box::new(dropout::Dropout { p }),
            Self::SpectralNorm(layer) => Box::new(spectral_norm::SpectralNorm(layer)),
            Self::Residual { body, shortcut } => Box::new(residual::Residual { body, shortcut }),
        }
    }

    /// Number of trained scalars.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.kind().parameters().iter().filter(|p| p.is_trained()).map(Parameter::count).sum()
    }

    /// Shape of one sample's output for one sample's input, both without a batch dimension.
    /// `None` if the layer cannot take that input.
    #[must_use]
    pub fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        self.kind().output_shape(input)
    }

    /// Number of multiplications in a forward pass over one sample of shape `input`, for each
    /// weight that the layer multiplies by. The gradient of the input and the gradient of the
    /// weight take as many each. Empty if the layer cannot take that input.
    #[must_use]
    pub fn multiplications(&self, input: &[usize]) -> Vec<usize> {
        let kind = self.kind();
        kind.output_shape(input).map_or(vec![], |output| kind.multiplications(input, &output))
    }

    /// Number of elements that the layer computes for one sample of shape `input`: those of its
    /// output, and for a residual block those of each output inside it. 0 if the layer cannot take
    /// that input.
    #[must_use]
    pub fn elements(&self, input: &[usize]) -> usize {
        let own = self.output_shape(input).map_or(0, |output| output.iter().product());
        let Self::Residual { body, shortcut } = self else { return own };
        own + elements(body, input) + elements(shortcut, input)
    }

    /// Whether a sample's output depends on the other samples in training, as with batch norm.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.kind().couples_samples()
    }

    /// The reason why a penalty on the gradient at a network's input is not possible with this
    /// layer. It names the layer. `None` if a penalty is possible.
    #[must_use]
    pub fn refuses_penalties(&self) -> Option<String> {
        match self.kind().second_order() {
            SecondOrder::Exact => None,
            SecondOrder::Refused(reason) => Some(reason),
        }
    }
}

/// Shape of one sample's output after all the layers in turn.
pub(crate) fn output_shape(layers: &[Layer], input: &[usize]) -> Option<Vec<usize>> {
    layers.iter().try_fold(input.to_vec(), |shape, layer| layer.output_shape(&shape))
}

/// Sum of [`Layer::elements`] over all the layers in turn.
fn elements(layers: &[Layer], input: &[usize]) -> usize {
    let mut shape = input.to_vec();
    let of = |layer: &Layer| {
        let elements = layer.elements(&shape);
        shape = layer.output_shape(&shape).unwrap_or_default();
        elements
    };
    layers.iter().map(of).sum()
}

/// Writes the layer as PyTorch's `repr` does, without default values.
impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind().line())
    }
}

#[cfg(test)]
mod tests;
