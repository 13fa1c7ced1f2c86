//! Real images to learn from.

use crate::error::{Result, TrainError};
use candle_core::Tensor;

/// Real images, and their classes where a model has classes.
#[derive(Debug, Clone)]
pub struct Examples {
    /// `[N, C, H, W]` in [-1, 1].
    pub images: Tensor,
    /// N of them.
    pub labels: Option<Vec<u8>>,
}

/// Without labels.
impl From<Tensor> for Examples {
    fn from(images: Tensor) -> Self {
        Self { images, labels: None }
    }
}

/// Without labels.
impl From<&Tensor> for Examples {
    fn from(images: &Tensor) -> Self {
        images.clone().into()
    }
}

impl Examples {
    /// Checks that there are labels where the model has `classes`, one for each image and each of a class.
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

    /// The labels of the i-th part of `batch` images.
    pub(crate) fn labels_of(&self, i: usize, batch: usize) -> Option<&[u8]> {
        self.labels.as_ref().map(|labels| &labels[i * batch..][..batch])
    }
}
