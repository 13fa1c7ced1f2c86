//! The families of networks. Each family has a file, which turns a configuration into layers and
//! says which configurations it accepts.

mod dcgan;
mod mlp;
mod residual;

use crate::config::{Arch, DiscriminatorInput, DiscriminatorNorm, ModelConfig};
use crate::error::{ModelError, Result};
use crate::layers::Layer;
use crate::sequential::Sequential;

/// One family.
trait Architecture {
    /// Checks the values that only this family restricts. The rest of `model` is valid already.
    fn validate(&self, model: &ModelConfig) -> Result<()>;

    /// The layers from `z` to an image.
    fn generator(&self, model: &ModelConfig) -> Vec<Layer>;

    /// The layers from an image to a logit, and to one more result for each class.
    fn discriminator(&self, model: &ModelConfig) -> Vec<Layer>;

    /// Shape of one input of the generator, for this number of latents.
    fn generator_input(&self, latents: usize) -> Vec<usize>;
}

impl Arch {
    /// The only place that lists all families.
    fn architecture(self) -> &'static dyn Architecture {
        match self {
            Self::Mlp => &mlp::Mlp,
            Self::Dcgan => &dcgan::Dcgan,
            Self::Residual => &residual::ResidualNetworks,
        }
    }
}

impl ModelConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used: its key, the expected value and the value found.
    pub fn validate(&self) -> Result<()> {
        self.validate_values()?;
        self.arch.architecture().validate(self)?;
        if self.sync_batch_norm {
            let networks = [self.generator_layers(), self.discriminator_layers()];
            let mut parameters = networks.iter().flat_map(|layers| Sequential::parameters("", layers));
            if !parameters.any(|parameter| parameter.is_running()) {
                let problem = "expected false, because neither network has batch norm";
                return Err(ModelError::config("model.sync-batch-norm", problem));
            }
        }
        Ok(())
    }

    /// The generator's `nn.Sequential`.
    #[must_use]
    pub fn generator_layers(&self) -> Vec<Layer> {
        self.arch.architecture().generator(self)
    }

    /// The discriminator's `nn.Sequential`.
    #[must_use]
    pub fn discriminator_layers(&self) -> Vec<Layer> {
        self.arch.architecture().discriminator(self)
    }

    /// Shape of one input of [`Self::generator_layers`]: `[latents]`, or `[latents, 1, 1]` if the
    /// first layer is a convolution.
    #[must_use]
    pub fn generator_input(&self) -> Vec<usize> {
        self.arch.architecture().generator_input(self.latents().width())
    }
}

/// Refuses a value of a key that the family does not support.
fn refuse(key: &str, expected: &str, model: &ModelConfig, found: impl std::fmt::Display) -> Result<()> {
    Err(ModelError::config(key, format!("expected {expected} for {}, found {found}", model.arch)))
}

/// Refuses residual blocks.
fn refuse_blocks(model: &ModelConfig) -> Result<()> {
    for (player, blocks) in
        [("generator", model.generator.blocks), ("discriminator", model.discriminator.blocks)]
    {
        if blocks != 1 {
            let problem = format!(
                "expected no such key for {}, which has no residual blocks, found {blocks}",
                model.arch
            );
            return Err(ModelError::config(format!("model.{player}.blocks"), problem));
        }
    }
    Ok(())
}

/// Refuses batch norm in the discriminator.
fn refuse_batch_norm(model: &ModelConfig) -> Result<()> {
    match model.discriminator.norm {
        DiscriminatorNorm::Batch => {
            refuse("model.discriminator.norm", "\"none\" or \"spectral\"", model, "\"batch\"")
        }
        DiscriminatorNorm::OfArch | DiscriminatorNorm::None | DiscriminatorNorm::Spectral => Ok(()),
    }
}

/// Refuses flat vectors for a discriminator of convolutions.
fn refuse_flat_input(model: &ModelConfig) -> Result<()> {
    match model.discriminator.input {
        DiscriminatorInput::Flat => refuse("model.discriminator.input", "\"image\"", model, "\"flat\""),
        DiscriminatorInput::Image => Ok(()),
    }
}

/// Returns the error for an image size that the family cannot have.
fn refuse_size(model: &ModelConfig) -> Result<()> {
    refuse("model.image-size", "28, 32, 64 or 128", model, model.image_size)
}

/// Returns the error for a network with a wrong number of widths. `numbers` says in words which
/// numbers are right.
fn refuse_widths(model: &ModelConfig, player: &str, numbers: &str, found: usize) -> Result<()> {
    let (arch, size) = (model.arch, model.image_size);
    let problem = format!("expected {numbers} widths for {arch} and {size}x{size} images, found {found}");
    Err(ModelError::config(format!("model.{player}.widths"), problem))
}
