//! The real images that a step learns from.

use crate::error::{Result, TrainError};
use candle_core::Tensor;

/// Real images, with their classes if the model has classes.
#[derive(Debug, Clone)]
pub struct Examples {
    /// `[N, C, H, W]` in [-1, 1].
    pub images: Tensor,
    /// The N classes of the images.
    pub labels: Option<Vec<u16>>,
}

/// Images without labels.
impl From<Tensor> for Examples {
    fn from(images: Tensor) -> Self {
        Self { images, labels: None }
    }
}

/// Images without labels.
impl From<&Tensor> for Examples {
    fn from(images: &Tensor) -> Self {
        images.clone().into()
    }
}

impl Examples {
    /// Checks that a model with `classes` has a label for each image, and that each label is a
    /// class.
    pub(crate) fn check(&self, classes: Option<usize>) -> Result<()> {
        let images = self.images.dim(0)?;
        let problem = match (&self.labels, classes) {
            (None, None) => return Ok(()),
            (None, Some(_)) => "the images have no labels".to_owned(),
            (Some(_), None) => "expected a number, as the images have labels".to_owned(),
            (Some(labels), _) if labels.len() != images => {
                format!("expected {images} labels, found {}", labels.len())
            }
            (Some(labels), Some(classes)) => match labels.iter().find(|&&l| usize::from(l) >= classes) {
                Some(label) => format!("expected labels of {classes} classes, found {label}"),
                None => return Ok(()),
            },
        };
        Err(TrainError::config("model.classes", problem))
    }
}
