//! QMNIST: MNIST's digits, made again from the same forms as closely as possible, with 60,000 digits
//! to test with (Yadav and Bottou 2019, arXiv 1905.10498).

use super::mnist::DIGITS;
use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::idx_files::{IdxFiles, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "qmnist",
    title: "QMNIST",
    summary: "QMNIST's digits: MNIST made again, with 60,000 to test with",
    note: None,
    train: Some(60_000),
    test: Some(60_000),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &DIGITS,
    classifier: Some("mnist"),
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: [
            ["qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int"],
            ["qmnist-test-images-idx3-ubyte", "qmnist-test-labels-idx2-int"],
        ],
        below: &["raw", "QMNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: None,
    }),
};
