//! What a classifier reads, and how it was trained.

use crate::error::{MetricsError, Result};
use serde::{Deserialize, Serialize};

/// Side of the images that the classifiers of digits and clothes read. Other images are resized.
pub const SIDE: usize = 28;
/// Sides of the images that a classifier can be made for.
pub const SIDES: [usize; 4] = [SIDE, 32, 64, 128];
/// Largest number of classes, as in a data set.
const MOST_CLASSES: usize = 1000;

/// How a classifier was trained, and its accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Name of the training data.
    pub data: String,
    /// Number of classes.
    pub classes: usize,
    /// Number of training images.
    pub images: u64,
    /// Number of epochs.
    pub epochs: u64,
    /// Seed of the weights, the order of the images and the augmentation.
    pub seed: u64,
    /// Share of the held-out images that it classifies correctly.
    pub test_accuracy: f64,
    /// Share of the largest class among these images. Always naming this class would be as accurate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Height and width of the images that it reads, one of [`SIDES`].
    #[serde(default = "digits::size", skip_serializing_if = "digits::is_size")]
    pub size: usize,
    /// Channels of the images: 1, or 3 for colours. With 1, each channel of an image is classified
    /// separately.
    #[serde(default = "digits::channels", skip_serializing_if = "digits::is_channels")]
    pub channels: usize,
    /// Share of the images that were kept from training, for data without a test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<f64>,
    /// The part of each picture that was kept, if it was not the largest square in the centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<String>,
    /// The colour behind transparent parts, if it was not black.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Names of the classes, in the order of their numbers. Empty if the name of the data says what
    /// they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
}

/// What a record means that does not say what the images are: gray digits.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
mod digits {
    pub(super) fn size() -> usize {
        super::SIDE
    }

    pub(super) fn is_size(found: &usize) -> bool {
        *found == size()
    }

    pub(super) fn channels() -> usize {
        1
    }

    pub(super) fn is_channels(found: &usize) -> bool {
        *found == channels()
    }
}

impl Record {
    /// Whether the classifier is no better than naming the largest class always. If the record does
    /// not say how large it is, it may be as small as the others.
    #[must_use]
    pub fn is_at_chance(&self) -> bool {
        self.test_accuracy <= self.chance.unwrap_or(1. / self.classes as f64)
    }

    /// Checks that there is a network for these images and classes.
    pub(super) fn check(&self) -> Result<()> {
        let names = self.class_names.len();
        let (field, expected, found) = if self.classes == 0 || self.classes > MOST_CLASSES {
            ("classes", format!("1 to {MOST_CLASSES}"), self.classes)
        } else if !SIDES.contains(&self.size) {
            ("size", format!("one of {SIDES:?}"), self.size)
        } else if !matches!(self.channels, 1 | 3) {
            ("channels", "1 or 3".to_owned(), self.channels)
        } else if names != 0 && names != self.classes {
            ("class-names", format!("none or {}", self.classes), names)
        } else {
            return Ok(());
        };
        Err(MetricsError::input(field, expected, found))
    }
}
