//! Stacked MNIST: three of MNIST's digits are red, green and blue (Metz et al. 2017, arXiv
//! 1611.02163).

use super::{Composed, Descriptor, ImageShape, Source};
use crate::format::Format;

pub(super) static SET: Descriptor = Descriptor {
    name: "stacked-mnist",
    title: "stacked MNIST",
    summary: "three of MNIST's digits as red, green and blue",
    note: Some("An image is one of 1000 modes: a digit in each of red, green and blue."),
    // PacGAN uses this number (Lin et al. 2017, arXiv 1712.04086).
    train: Some(128_000),
    // The papers draw this number of images from a generator to count its modes.
    test: Some(26_000),
    shape: Some(ImageShape { channels: 3, side: 28 }),
    classes: &[],
    classifier: Some("mnist"),
    sha256: None,
    format: Format::Stacked(Composed {
        of: Source::MNIST,
        seed: 0,
        // An evaluation with all 128,000 images would take minutes and gigabytes.
        compared: 50_000,
        // An evaluation of few images should be fast.
        compared_for_each: 2,
        judged: 26_000,
    }),
};
