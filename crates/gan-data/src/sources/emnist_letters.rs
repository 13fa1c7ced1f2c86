//! EMNIST's letters. Upper and lower case of a letter are one class (Cohen et al. 2017, arXiv
//! 1702.05373).

use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::idx_files::{IdxFiles, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "emnist-letters",
    title: "EMNIST letters",
    summary: "EMNIST's letters, both cases of one in a class",
    note: None,
    train: Some(124_800),
    test: Some(20_800),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &[
        "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T",
        "U", "V", "W", "X", "Y", "Z",
    ],
    classifier: None,
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: [
            ["emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte"],
            ["emnist-letters-test-images-idx3-ubyte", "emnist-letters-test-labels-idx1-ubyte"],
        ],
        below: &["gzip", "raw", "EMNIST/raw"],
        written: Written::Transposed,
        first_label: 1,
        hub: None,
    }),
};
