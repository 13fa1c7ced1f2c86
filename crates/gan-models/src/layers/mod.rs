//! A network as data, and what the file of each kind of layer says about it.
//!
//! To add a kind: write its file with a [`Kind`], add a variant to [`Layer`], and give it the arm that the compiler then
//! asks for in [`Layer::kind`].

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

/// One entry of an `nn.Sequential`. Its position in the list is its index in PyTorch, so that the names of the parameters
/// (`model.0.weight`) agree.
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
    /// Each pixel's channels divided by the root of their mean square (Karras et al. 2018, arXiv 1710.10196, section 4.2).
    PixelNorm,
    /// `nn.Dropout(p)` (Srivastava et al. 2014).
    Dropout {
        /// Share of the elements that become 0 in training, from 0 up to but not 1.
        p: f64,
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

/// What the file of a kind of layer says about it. No method has a default, so that nothing is forgotten.
pub(crate) trait Kind {
    /// Its line in a printed model: PyTorch's `repr` without the defaults.
    fn line(&self) -> String;

    /// Its tensors in PyTorch's order, by PyTorch's names, with shapes and first values.
    fn parameters(&self) -> Vec<Parameter>;

    /// Shape of one sample's output (no batch dimension) for one sample's input; `None` where it cannot take that input.
    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>>;

    /// Multiplications of a forward pass over one sample, for each weight that it multiplies with. Either gradient takes as
    /// many. `output` is [`Self::output_shape`] of `input`.
    fn multiplications(&self, input: &[usize], output: &[usize]) -> Vec<usize>;

    /// Whether a sample's output depends on the other samples in training.
    fn couples_samples(&self) -> bool;

    /// Whether a penalty on the gradient at the network's input can go through it.
    fn second_order(&self) -> SecondOrder;

    /// What it computes, with the tensors of [`Self::parameters`] in their order.
    fn piece(&self, weights: &mut Weights) -> Result<Piece>;
}

/// Whether a gradient's dependence on the weights is known for a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecondOrder {
    /// Its stage computes it exactly.
    Exact,
    /// It does not; the text names the layer and says why.
    Refused(String),
}

impl SecondOrder {
    /// The text for a layer whose output for one sample depends on the others.
    pub(crate) fn coupled(layer: &str) -> Self {
        Self::Refused(format!("{layer} couples the samples: there is no gradient of one sample's result"))
    }
}

/// The error where second order is asked of a kind that has none.
fn refuse<T>(kind: &dyn Kind) -> Result<T> {
    match kind.second_order() {
        SecondOrder::Refused(reason) => candle_core::bail!("{reason}"),
        SecondOrder::Exact => candle_core::bail!("{} has no second order here", kind.line()),
    }
}

impl Layer {
    /// The one place that lists all kinds.
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

    /// Shape of one sample's output (no batch dimension) for one sample's input, `None` where the
    /// layer cannot take it.
    #[must_use]
    pub fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        self.kind().output_shape(input)
    }

    /// Multiplications of a forward pass over one sample of shape `input`, for each weight that the layer multiplies with;
    /// either gradient takes as many. Empty where the layer cannot take that input.
    #[must_use]
    pub fn multiplications(&self, input: &[usize]) -> Vec<usize> {
        let kind = self.kind();
        kind.output_shape(input).map_or(vec![], |output| kind.multiplications(input, &output))
    }

    /// Whether a sample's output depends on the other samples in training, as batch norm makes it.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.kind().couples_samples()
    }

    /// Why a penalty on the gradient at a network's input cannot go through this layer, by its name; `None` where it can.
    #[must_use]
    pub fn refuses_penalties(&self) -> Option<String> {
        match self.kind().second_order() {
            SecondOrder::Exact => None,
            SecondOrder::Refused(reason) => Some(reason),
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
        f.write_str(&self.kind().line())
    }
}
