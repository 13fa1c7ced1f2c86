//! The hidden layers of the two networks, as a TOML file holds them under `[model.generator]` and
//! `[model.discriminator]`.

use super::{MAX_WIDTH, at_most, is_default};
use crate::error::{ModelError, Result};
use crate::layers::Layer;
use serde::{Deserialize, Serialize};

/// A larger number of residual blocks at one size is a mistake.
const MAX_BLOCKS: usize = 16;
/// The largest number of samples that the paper of `PacGAN` tried (Lin et al. 2018, arXiv
/// 1712.04086).
const MAX_PACK: usize = 4;
/// A larger group of minibatch standard deviation is a mistake.
const MAX_GROUP: usize = 1024;

/// The generator's hidden layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneratorConfig {
    /// Sizes of the hidden layers from `z` to the image. They are features (MLP), channels
    /// (DCGAN), or channels at each size of the image from the smallest to the largest
    /// (residual).
    pub widths: Vec<usize>,
    /// The activation after every hidden layer. The output layer always has Tanh.
    pub activation: HiddenActivation,
    /// Slope of `leaky-relu` for negative inputs.
    #[serde(default = "default_negative_slope")]
    pub negative_slope: f64,
    /// Residual blocks at each size of the image.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub blocks: usize,
    /// The generator's normalisation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: GeneratorNorm,
    /// How a dcgan doubles the image.
    #[serde(default, skip_serializing_if = "is_default")]
    pub upsample: Upsampling,
}

/// The discriminator's hidden layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiscriminatorConfig {
    /// Sizes of the hidden layers from the image to the logit. They are features (MLP), channels
    /// (DCGAN), or channels at each size of the image from the largest to the smallest
    /// (residual).
    pub widths: Vec<usize>,
    /// The activation after every hidden layer. The output is a logit, without an activation.
    pub activation: HiddenActivation,
    /// Slope of `leaky-relu` for negative inputs.
    #[serde(default = "default_negative_slope")]
    pub negative_slope: f64,
    /// The form of the input of an MLP.
    #[serde(default)]
    pub input: DiscriminatorInput,
    /// The discriminator's normalisation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: DiscriminatorNorm,
    /// Share of the elements that dropout sets to 0 in training, after each hidden activation.
    /// There is no dropout if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Number of samples in a group of minibatch standard deviation, which stands before the last
    /// layer. There is none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minibatch_std: Option<usize>,
    /// Number of images that the discriminator takes together, as the channels of one image
    /// (`PacGAN`: Lin et al. 2018, arXiv 1712.04086).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub pack: usize,
    /// Residual blocks at each size of the image.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub blocks: usize,
}

/// The normalisation of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorNorm {
    /// The architecture's own, which is used if the key is absent: batch norm in a dcgan, none in
    /// the others.
    #[default]
    #[serde(skip)]
    OfArch,
    /// Batch norm before each hidden activation, as in the DCGAN paper.
    Batch,
    /// Pixel norm after each hidden activation (Karras et al. 2018, arXiv 1710.10196, section
    /// 4.2), and a bias in each layer.
    Pixel,
    /// No normalisation, and a bias in each layer.
    None,
}

/// How a dcgan's generator doubles the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upsampling {
    /// A transposed convolution, as in the DCGAN paper.
    #[default]
    Transposed,
    /// Nearest neighbours, then a convolution of 3x3. This leaves no checkerboard pattern (Odena
    /// et al. 2016, <https://distill.pub/2016/deconv-checkerboard>).
    Nearest,
}

/// The normalisation of a discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscriminatorNorm {
    /// The architecture's own, which is used if the key is absent: batch norm in a dcgan, none in
    /// the others.
    #[default]
    #[serde(skip)]
    OfArch,
    /// Batch norm from the second layer on, as in the DCGAN paper.
    Batch,
    /// No normalisation, and a bias in each layer. A penalty on D's gradient needs this or
    /// spectral norm, because the samples must not depend on each other.
    None,
    /// Spectral norm of every weight (Miyato et al. 2018, arXiv 1802.05957), and a bias in each
    /// layer.
    Spectral,
}

/// The activation after hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenActivation {
    /// `max(x, 0)`.
    Relu,
    /// `x` if it is positive, else `negative-slope * x`.
    LeakyRelu,
}

/// The input of the discriminator's `nn.Sequential`. It decides the positions of the layers, and
/// so the names of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscriminatorInput {
    /// Images. An MLP begins with `nn.Flatten`, so its first weight is `model.1.weight`.
    #[default]
    Image,
    /// Flat vectors. An MLP's first weight is `model.0.weight`.
    Flat,
}

/// LeakyReLU's slope in the DCGAN paper (Radford et al. 2016, section 3).
fn default_negative_slope() -> f64 {
    0.2
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

impl GeneratorConfig {
    /// A configuration with these hidden layers. All other values are the defaults.
    #[must_use]
    pub fn new(widths: &[usize], activation: HiddenActivation) -> Self {
        Self {
            widths: widths.to_vec(),
            activation,
            negative_slope: default_negative_slope(),
            blocks: 1,
            norm: GeneratorNorm::OfArch,
            upsample: Upsampling::Transposed,
        }
    }

    pub(crate) fn activation(&self) -> Layer {
        self.activation.layer(self.negative_slope)
    }

    /// The activation's slope below 0.
    pub(crate) fn slope(&self) -> f64 {
        self.activation.slope(self.negative_slope)
    }

    pub(super) fn validate(&self) -> Result<()> {
        validate_hidden("model.generator", &self.widths, (self.activation, self.negative_slope), self.blocks)
    }
}

impl DiscriminatorConfig {
    /// A configuration with these hidden layers and `LeakyReLU`. All other values are the
    /// defaults.
    #[must_use]
    pub fn new(widths: &[usize]) -> Self {
        Self {
            widths: widths.to_vec(),
            activation: HiddenActivation::LeakyRelu,
            negative_slope: default_negative_slope(),
            input: DiscriminatorInput::Image,
            norm: DiscriminatorNorm::OfArch,
            dropout: None,
            minibatch_std: None,
            pack: 1,
            blocks: 1,
        }
    }

    pub(crate) fn activation(&self) -> Layer {
        self.activation.layer(self.negative_slope)
    }

    /// The activation's slope below 0.
    pub(crate) fn slope(&self) -> f64 {
        self.activation.slope(self.negative_slope)
    }

    /// Returns a product with weights, with spectral norm around it if the configuration has
    /// spectral norm.
    pub(crate) fn product(&self, layer: Layer) -> Layer {
        match self.norm {
            DiscriminatorNorm::Spectral => Layer::SpectralNorm(Box::new(layer)),
            DiscriminatorNorm::OfArch | DiscriminatorNorm::Batch | DiscriminatorNorm::None => layer,
        }
    }

    /// Appends minibatch standard deviation if the configuration has it, and adds its channel to
    /// `channels`.
    pub(crate) fn add_minibatch_std(&self, layers: &mut Vec<Layer>, channels: &mut usize) {
        if let Some(group) = self.minibatch_std {
            layers.push(Layer::MinibatchStd { group });
            *channels += 1;
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        validate_hidden(
            "model.discriminator",
            &self.widths,
            (self.activation, self.negative_slope),
            self.blocks,
        )?;
        at_most("model.discriminator.pack", self.pack, MAX_PACK)?;
        if let Some(group) = self.minibatch_std.filter(|group| !(2..=MAX_GROUP).contains(group)) {
            let problem = format!("expected a whole number from 2 to {MAX_GROUP}, found {group}");
            return Err(ModelError::config("model.discriminator.minibatch-std", problem));
        }
        if let Some(p) = self.dropout.filter(|p| !(*p > 0. && *p < 1.)) {
            let problem = format!("expected a number above 0 and below 1, found {p}");
            return Err(ModelError::config("model.discriminator.dropout", problem));
        }
        Ok(())
    }
}

impl GeneratorNorm {
    pub(crate) fn is_pixel(self) -> bool {
        self == Self::Pixel
    }
}

fn validate_hidden(
    field: &str,
    widths: &[usize],
    (activation, slope): (HiddenActivation, f64),
    blocks: usize,
) -> Result<()> {
    for &width in widths {
        at_most(&format!("{field}.widths"), width, MAX_WIDTH)?;
    }
    if !(0. ..=1.).contains(&slope) {
        let problem = format!("expected a number from 0 to 1, found {slope}");
        return Err(ModelError::config(format!("{field}.negative-slope"), problem));
    }
    // Files of runs have the default with every activation.
    if activation == HiddenActivation::Relu && slope.to_bits() != default_negative_slope().to_bits() {
        let problem = format!("expected no such key with activation = \"relu\", found {slope}");
        return Err(ModelError::config(format!("{field}.negative-slope"), problem));
    }
    at_most(&format!("{field}.blocks"), blocks, MAX_BLOCKS)
}

impl HiddenActivation {
    fn layer(self, negative_slope: f64) -> Layer {
        match self {
            Self::Relu => Layer::Relu,
            Self::LeakyRelu => Layer::LeakyRelu(negative_slope),
        }
    }

    fn slope(self, negative_slope: f64) -> f64 {
        match self {
            Self::Relu => 0.,
            Self::LeakyRelu => negative_slope,
        }
    }
}
