//! EMNIST's digits: four times as many as MNIST has (Cohen et al. 2017, arXiv 1702.05373).

use super::mnist::DIGITS;
use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::idx_files::{IdxFiles, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "emnist-digits",
    title: "EMNIST digits",
    summary: "EMNIST's digits, four times as many as MNIST's",
    note: None,
    train: Some(240_000),
    test: Some(40_000),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &DIGITS,
    classifier: None,
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: [
            ["emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte"],
            ["emnist-digits-test-images-idx3-ubyte", "emnist-digits-test-labels-idx1-ubyte"],
        ],
        below: &["gzip", "raw", "EMNIST/raw"],
        written: Written::Transposed,
        first_label: 0,
        hub: None,
    }),
};
