//! The digits in this crate, a part of MNIST.

use super::mnist::DIGITS;
use super::{Descriptor, ImageShape, Source};
use crate::format::Format;
use crate::{Dataset, Result};

pub(super) static SET: Descriptor = Descriptor {
    name: "mnist-5k",
    title: "mnist-5k",
    summary: "5,000 of MNIST's digits, inside the program",
    note: None,
    train: Some(5_000),
    test: None,
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &DIGITS,
    classifier: Some("mnist"),
    sha256: None,
    format: Format::Embedded { read, part_of: Source::MNIST },
};

/// The 5,000 digits in this crate: 500 of each class from MNIST's training set, sorted by class,
/// 28x28 gray.
///
/// # Errors
///
/// If the crate was built from damaged assets.
#[cfg(feature = "embedded")]
pub fn mnist_5k() -> Result<Dataset> {
    use crate::{idx, idx_files};
    use std::path::Path;

    let images_path = Path::new("assets/mnist-5k-images-idx3-ubyte.gz");
    let labels_path = Path::new("assets/mnist-5k-labels-idx1-ubyte.gz");
    let images =
        idx::parse_images(include_bytes!("../../assets/mnist-5k-images-idx3-ubyte.gz"), images_path)?;
    let labels =
        idx::parse_labels(include_bytes!("../../assets/mnist-5k-labels-idx1-ubyte.gz"), labels_path)?;
    let origin = "embedded in gan-data: 500 training digits of each class".to_owned();
    idx_files::combine(&SET, 0, origin, (images, images_path), Some((labels, labels_path)))
}

#[cfg(feature = "embedded")]
fn read() -> Result<Dataset> {
    mnist_5k()
}

#[cfg(not(feature = "embedded"))]
fn read() -> Result<Dataset> {
    Err(crate::DataError::NotEmbedded)
}
