//! The configuration of a model, as a TOML file holds it under `[model]`.

mod players;

pub use players::{
    DiscriminatorConfig, DiscriminatorInput, DiscriminatorNorm, GeneratorConfig, GeneratorNorm,
    HiddenActivation, Upsampling,
};

use crate::error::{ModelError, Result};
use crate::latents::Distribution;
use serde::{Deserialize, Serialize};

/// A larger width in a file is a mistake or an attack. It would only exhaust the memory.
const MAX_WIDTH: usize = 16_384;
/// Largest number of classes. An image of each class has a row in the last layer of D.
const MAX_CLASSES: usize = 1000;

/// A generator and its discriminator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// The family of networks.
    pub arch: Arch,
    /// Length of the latent vector `z`.
    pub latent_dim: usize,
    /// The distribution that `z` is drawn from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latent: Distribution,
    /// 1 for gray images, 3 for RGB.
    pub channels: usize,
    /// Height and width of an image.
    pub image_size: usize,
    /// Number of classes. If absent, the model has no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Whether batch norm computes its statistics over the samples of all processes that share a batch, and
    /// not over those of each process alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync_batch_norm: bool,
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
    /// Residual blocks without any norm (Huang et al. 2024).
    Residual,
}

/// Writes the family's name in a configuration.
impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mlp => "mlp",
            Self::Dcgan => "dcgan",
            Self::Residual => "residual",
        })
    }
}

/// Whether a file can leave the value out, because it is the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ModelConfig {
    /// Checks the values that mean the same in every architecture.
    pub(crate) fn validate_values(&self) -> Result<()> {
        at_most("model.latent-dim", self.latent_dim, MAX_WIDTH)?;
        if ![1, 3].contains(&self.channels) {
            return Err(ModelError::config(
                "model.channels",
                format!("expected 1 (gray) or 3 (RGB), found {}", self.channels),
            ));
        }
        if let Some(classes) = self.classes {
            if !(2..=MAX_CLASSES).contains(&classes) {
                let problem = format!("expected a whole number from 2 to {MAX_CLASSES}, found {classes}");
                return Err(ModelError::config("model.classes", problem));
            }
            if self.discriminator.pack > 1 {
                let problem =
                    "expected 1 where there are model.classes: images of several classes have no one label";
                return Err(ModelError::config("model.discriminator.pack", problem));
            }
        }
        self.generator.validate()?;
        self.discriminator.validate()
    }

    /// Checks that the discriminator can take batches of `batch` images.
    ///
    /// # Errors
    /// A `pack` or a group of `minibatch-std` that does not divide the batch.
    pub fn validate_batch(&self, batch: usize) -> Result<()> {
        let DiscriminatorConfig { pack, minibatch_std, .. } = self.discriminator;
        if !batch.is_multiple_of(pack) {
            let problem = format!("expected a divisor of the {batch} images in a batch, found {pack}");
            return Err(ModelError::config("model.discriminator.pack", problem));
        }
        if let Some(group) = minibatch_std.filter(|group| !(batch / pack).is_multiple_of(*group)) {
            let problem = format!("expected a divisor of the {} in a batch, found {group}", batch / pack);
            return Err(ModelError::config("model.discriminator.minibatch-std", problem));
        }
        Ok(())
    }

    /// Shape of one input of [`Self::discriminator_layers`]. One input holds `pack` images.
    #[must_use]
    pub fn discriminator_input(&self) -> Vec<usize> {
        let image = [self.seen_channels(), self.image_size, self.image_size];
        match self.discriminator.input {
            DiscriminatorInput::Image => image.to_vec(),
            DiscriminatorInput::Flat => vec![image.iter().product()],
        }
    }

    /// Number of channels of one input: those of all `pack` images.
    pub(crate) fn seen_channels(&self) -> usize {
        self.channels * self.discriminator.pack
    }

    /// Number of results of [`Self::discriminator_layers`] for one input: a logit, and for each
    /// class a value that is added to the logit ([`Pass::of_classes`](crate::Pass::of_classes)).
    #[must_use]
    pub fn discriminator_results(&self) -> usize {
        1 + self.classes.unwrap_or(0)
    }

    /// Shape of an image, `[C, H, W]`.
    #[must_use]
    pub fn image_shape(&self) -> [usize; 3] {
        [self.channels, self.image_size, self.image_size]
    }
}

/// Refuses 0 and every value above `max`.
pub(crate) fn at_most(field: &str, value: usize, max: usize) -> Result<()> {
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
            "model.image-size: expected 28, 32, 64 or 128 for dcgan, found 30"
        );
        assert_eq!(
            problem(|c| c.generator.widths = vec![8]),
            "model.generator.widths: expected 2 or 3 widths for dcgan and 28x28 images, found 1"
        );
        assert!(problem(|c| c.discriminator.widths[0] = 0).starts_with("model.discriminator.widths: "));
        assert!(problem(|c| c.generator.negative_slope = f64::NAN).contains("from 0 to 1, found NaN"));
        let steep = problem(|c| {
            (c.generator.activation, c.generator.negative_slope) = (HiddenActivation::Relu, 0.9);
        });
        assert_eq!(
            steep,
            "model.generator.negative-slope: expected no such key with activation = \"relu\", found 0.9"
        );
        assert!(problem(|c| c.discriminator.input = DiscriminatorInput::Flat).contains("found \"flat\""));
        assert!(problem(|c| c.discriminator.pack = 5).contains("from 1 to 4, found 5"));
        assert!(problem(|c| c.discriminator.minibatch_std = Some(1)).contains("from 2 to 1024, found 1"));
        assert!(problem(|c| c.generator.blocks = 2).contains("which has no residual blocks, found 2"));
        assert!(
            problem(|c| c.classes = Some(1))
                .contains("model.classes: expected a whole number from 2 to 1000")
        );
        assert!(problem(|c| (c.classes, c.discriminator.pack) = (Some(10), 2)).contains("expected 1"));
        let mut packed = preset::dcgan_28();
        (packed.discriminator.pack, packed.discriminator.minibatch_std) = (2, Some(4));
        let batch = |size| packed.validate_batch(size).map_err(|e| e.to_string());
        assert_eq!(batch(64), Ok(()));
        assert!(
            batch(63).unwrap_err().contains("pack: expected a divisor of the 63 images in a batch, found 2")
        );
        assert!(batch(60).unwrap_err().contains("minibatch-std: expected a divisor of the 30"));
        assert!(problem(|c| c.arch = Arch::Residual).contains("expected 3 widths for residual and 28x28"));
        assert_eq!(
            problem(|c| c.discriminator.dropout = Some(1.)),
            "model.discriminator.dropout: expected a number above 0 and below 1, found 1"
        );
        // The step from 4x4 to 7x7 is no doubling.
        let deep = |c: &mut ModelConfig| {
            (c.generator.widths, c.generator.upsample) = (vec![8, 8, 8], Upsampling::Nearest);
        };
        assert!(problem(deep).contains("expected 2 widths for dcgan and 28x28 images, found 3"));
        for (arch, part) in [(Arch::Mlp, "no such key for mlp"), (Arch::Residual, "grow by nearest")] {
            let problem = problem(|c| (c.arch, c.generator.upsample) = (arch, Upsampling::Nearest));
            assert!(problem.starts_with("model.generator.upsample: ") && problem.contains(part), "{problem}");
        }
        assert!(
            problem(|c| (c.arch, c.generator.norm) = (Arch::Mlp, GeneratorNorm::Batch))
                .contains("model.generator.norm: expected \"none\" or \"pixel\" for mlp")
        );
        assert!(
            problem(|c| (c.arch, c.discriminator.dropout) = (Arch::Residual, Some(0.5)))
                .contains("model.discriminator.dropout: expected no such key for residual, found 0.5")
        );
        assert_eq!(
            problem(|c| (c.arch, c.discriminator.norm) = (Arch::Mlp, DiscriminatorNorm::Batch)),
            "model.discriminator.norm: expected \"none\" or \"spectral\" for mlp, found \"batch\""
        );
    }
}
