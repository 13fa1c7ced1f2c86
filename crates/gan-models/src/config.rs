//! What a model is made of, as it stands in a TOML file under `[model]`.

use crate::error::{ModelError, Result};
use crate::layer::Layer;
use crate::{dcgan, mlp};
use serde::{Deserialize, Serialize};

/// Above this, a width in a file is a mistake or an attack, and would only exhaust the memory.
const MAX_WIDTH: usize = 16_384;

/// A generator and its discriminator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// The family of networks.
    pub arch: Arch,
    /// Length of the latent vector `z`.
    pub latent_dim: usize,
    /// 1 for gray images, 3 for RGB.
    pub channels: usize,
    /// Height and width of an image.
    pub image_size: usize,
    /// The network from `z` to an image.
    pub generator: GeneratorConfig,
    /// The network from an image to a logit.
    pub discriminator: DiscriminatorConfig,
}

/// The family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// Fully connected layers (Goodfellow et al. 2014).
    Mlp,
    /// Strided convolutions with batch norm (Radford et al. 2016).
    Dcgan,
}

/// The generator's hidden layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneratorConfig {
    /// Sizes of the hidden layers from `z` to the image: features (MLP) or channels (DCGAN).
    pub widths: Vec<usize>,
    /// After every hidden layer; the output's is always Tanh.
    pub activation: Activation,
    /// Of `leaky-relu`.
    #[serde(default = "default_negative_slope")]
    pub negative_slope: f64,
}

/// The discriminator's hidden layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiscriminatorConfig {
    /// Sizes of the hidden layers from the image to the logit: features (MLP) or channels (DCGAN).
    pub widths: Vec<usize>,
    /// After every hidden layer; the output is a logit.
    pub activation: Activation,
    /// Of `leaky-relu`.
    #[serde(default = "default_negative_slope")]
    pub negative_slope: f64,
    /// What an MLP's layer list takes.
    #[serde(default)]
    pub input: DiscriminatorInput,
    /// What a dcgan normalises with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: DiscriminatorNorm,
}

/// What the discriminator of a dcgan normalises its hidden layers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscriminatorNorm {
    /// Batch norm from the second layer on, as in the paper.
    #[default]
    Batch,
    /// Nothing, and a bias in each layer: a penalty on its gradient needs samples that do not depend on each other.
    None,
}

/// What a file need not say.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The activation after hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` or `negative-slope * x`.
    LeakyRelu,
}

/// What the discriminator's `nn.Sequential` takes; it decides the positions, hence the names of
/// the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscriminatorInput {
    /// Images; an MLP begins with `nn.Flatten`, so that its first weight is `model.1.weight`.
    #[default]
    Image,
    /// Flat vectors; an MLP's first weight is `model.0.weight`.
    Flat,
}

/// LeakyReLU's slope in the DCGAN paper (Radford et al. 2016, section 3).
fn default_negative_slope() -> f64 {
    0.2
}

impl ModelConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used: its key, what is expected, what was found.
    pub fn validate(&self) -> Result<()> {
        at_most("model.latent-dim", self.latent_dim, MAX_WIDTH)?;
        if ![1, 3].contains(&self.channels) {
            return Err(ModelError::config(
                "model.channels",
                format!("expected 1 (gray) or 3 (RGB), found {}", self.channels),
            ));
        }
        let networks = [
            ("model.generator", &self.generator.widths, self.generator.negative_slope),
            ("model.discriminator", &self.discriminator.widths, self.discriminator.negative_slope),
        ];
        for (field, widths, slope) in networks {
            for &width in widths {
                at_most(&format!("{field}.widths"), width, MAX_WIDTH)?;
            }
            if !(0. ..=1.).contains(&slope) {
                return Err(ModelError::config(
                    format!("{field}.negative-slope"),
                    format!("expected a number from 0 to 1, found {slope}"),
                ));
            }
        }
        if self.arch == Arch::Mlp && self.discriminator.norm != DiscriminatorNorm::Batch {
            let problem = "expected no such key for an mlp, which has no norm, found \"none\"";
            return Err(ModelError::config("model.discriminator.norm", problem));
        }
        match self.arch {
            Arch::Mlp => at_most("model.image-size", self.image_size, 256),
            Arch::Dcgan => self.validate_dcgan(networks.map(|(field, widths, _)| (field, widths.len()))),
        }
    }

    fn validate_dcgan(&self, networks: [(&str, usize); 2]) -> Result<()> {
        let Some(doublings) = dcgan::doublings(self.image_size) else {
            return Err(ModelError::config(
                "model.image-size",
                format!("expected 28, 32, 64 or 128 for a dcgan, found {}", self.image_size),
            ));
        };
        for (field, found) in networks {
            if found != doublings {
                return Err(ModelError::config(
                    format!("{field}.widths"),
                    format!(
                        "expected {doublings} widths for a dcgan of {0}x{0} images, found {found}",
                        self.image_size
                    ),
                ));
            }
        }
        if self.discriminator.input != DiscriminatorInput::Image {
            return Err(ModelError::config(
                "model.discriminator.input",
                "expected \"image\" for a dcgan, found \"flat\"",
            ));
        }
        Ok(())
    }

    /// The generator's `nn.Sequential`.
    #[must_use]
    pub fn generator_layers(&self) -> Vec<Layer> {
        match self.arch {
            Arch::Mlp => mlp::mlp_generator(self),
            Arch::Dcgan => dcgan::dcgan_generator(self),
        }
    }

    /// The discriminator's `nn.Sequential`.
    #[must_use]
    pub fn discriminator_layers(&self) -> Vec<Layer> {
        match self.arch {
            Arch::Mlp => mlp::mlp_discriminator(self),
            Arch::Dcgan => dcgan::dcgan_discriminator(self),
        }
    }

    /// Shape of one input of [`Self::generator_layers`]: `[latent_dim]`, or `[latent_dim, 1, 1]`
    /// where they are convolutions.
    #[must_use]
    pub fn generator_input(&self) -> Vec<usize> {
        match self.arch {
            Arch::Mlp => vec![self.latent_dim],
            Arch::Dcgan => vec![self.latent_dim, 1, 1],
        }
    }

    /// Shape of one input of [`Self::discriminator_layers`].
    #[must_use]
    pub fn discriminator_input(&self) -> Vec<usize> {
        match self.discriminator.input {
            DiscriminatorInput::Image => self.image_shape().to_vec(),
            DiscriminatorInput::Flat => vec![self.image_shape().iter().product()],
        }
    }

    /// Shape of an image, `[C, H, W]`.
    #[must_use]
    pub fn image_shape(&self) -> [usize; 3] {
        [self.channels, self.image_size, self.image_size]
    }
}

impl GeneratorConfig {
    pub(crate) fn activation(&self) -> Layer {
        self.activation.layer(self.negative_slope)
    }
}

impl DiscriminatorConfig {
    pub(crate) fn activation(&self) -> Layer {
        self.activation.layer(self.negative_slope)
    }
}

impl Activation {
    fn layer(self, negative_slope: f64) -> Layer {
        match self {
            Self::Relu => Layer::Relu,
            Self::LeakyRelu => Layer::LeakyRelu(negative_slope),
        }
    }
}

fn at_most(field: &str, value: usize, max: usize) -> Result<()> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(ModelError::config(field, format!("expected a whole number from 1 to {max}, found {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    fn problem(change: impl Fn(&mut ModelConfig)) -> String {
        let mut config = preset::dcgan_28();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        assert_eq!(
            problem(|c| c.latent_dim = 0),
            "model.latent-dim: expected a whole number from 1 to 16384, found 0"
        );
        assert_eq!(problem(|c| c.channels = 2), "model.channels: expected 1 (gray) or 3 (RGB), found 2");
        assert_eq!(
            problem(|c| c.image_size = 30),
            "model.image-size: expected 28, 32, 64 or 128 for a dcgan, found 30"
        );
        assert_eq!(
            problem(|c| c.generator.widths = vec![8]),
            "model.generator.widths: expected 2 widths for a dcgan of 28x28 images, found 1"
        );
        assert!(problem(|c| c.discriminator.widths[0] = 0).starts_with("model.discriminator.widths: "));
        assert!(problem(|c| c.generator.negative_slope = f64::NAN).contains("from 0 to 1, found NaN"));
        assert!(problem(|c| c.discriminator.input = DiscriminatorInput::Flat).contains("found \"flat\""));
    }
}
