//! What computes the features with which images are compared.

use crate::classifier::at_side;
use crate::inception::Inception;
use crate::{Classifier, RandomNetwork, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// Computes features from images. The metrics need nothing else, and the classes only if the
/// features come from a classifier.
#[derive(Debug, Clone)]
pub enum Features {
    /// A classifier that was trained on images of the same kind. It knows classes.
    Classifier(Box<Classifier>),
    /// A network with random weights, for all other images. It knows no classes.
    Random(RandomNetwork),
    /// The Inception network, as papers use it. It knows no classes.
    Inception(Arc<Inception>),
}

/// What the metrics need from images.
#[derive(Debug, Clone)]
pub struct Look {
    /// `[N, D]`.
    pub features: Tensor,
    /// `[N C, classes]`, if the features know classes. The channels of an image are consecutive
    /// rows. Each row sums to 1.
    pub probabilities: Option<Tensor>,
    /// `[N, 784 C]` in [-1, 1].
    pub pixels: Tensor,
}

impl Features {
    /// The name after which the distance is called: the data of a classifier, `random`, or
    /// `inception`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Classifier(classifier) => &classifier.record().data,
            Self::Random(_) => RandomNetwork::NAME,
            Self::Inception(_) => Inception::NAME,
        }
    }

    /// The name that is stored beside numbers. It also says which definition of the features
    /// made them, because numbers of different definitions cannot be compared.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Classifier(classifier) => &classifier.record().data,
            Self::Random(_) => RandomNetwork::ID,
            Self::Inception(_) => Inception::ID,
        }
    }

    /// The classifier, if there is one.
    #[must_use]
    pub fn classifier(&self) -> Option<&Classifier> {
        match self {
            Self::Classifier(classifier) => Some(classifier),
            Self::Random(_) | Self::Inception(_) => None,
        }
    }

    /// Whether the three channels of an image are seen together. Otherwise each channel has its own
    /// features, and the distances of the channels add up.
    #[must_use]
    pub fn see_colours(&self) -> bool {
        self.classifier().is_none_or(|classifier| classifier.record().channels > 1)
    }

    /// Computes what the metrics need from `images: [N, C, H, W]` in [-1, 1]. Pass some hundred
    /// images at a time. For the Inception network, images are rounded to 8 bits first, because
    /// `pytorch-fid` reads files of 8 bits.
    ///
    /// # Errors
    /// If the shape is different.
    pub fn look(&self, images: &Tensor) -> Result<Look> {
        match self {
            Self::Classifier(classifier) => classifier.look(images),
            Self::Random(network) => Ok(Look {
                features: network.features(images)?,
                probabilities: None,
                pixels: at_side(&images.detach().to_device(network.device())?)?.flatten_from(1)?,
            }),
            Self::Inception(network) => {
                let images = images.detach().to_device(&Device::Cpu)?;
                let levels = ((&images + 1.)? * 127.5)?.round()?;
                let rounded = ((levels / 127.5)? - 1.)?.clamp(-1f32, 1f32)?;
                Ok(Look {
                    features: network.features(&rounded)?,
                    probabilities: None,
                    pixels: at_side(&images)?.flatten_from(1)?,
                })
            }
        }
    }
}
