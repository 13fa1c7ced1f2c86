//! EMNIST's digits and letters, with the same number in each class (Cohen et al. 2017, arXiv
//! 1702.05373).

use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::idx_files::{IdxFiles, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "emnist-balanced",
    title: "EMNIST balanced",
    summary: "EMNIST's digits and letters, as many of each class",
    note: Some("A letter whose cases look alike has one class, which is called by its capital."),
    train: Some(112_800),
    test: Some(18_800),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &[
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J",
        "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e",
        "f", "g", "h", "n", "q", "r", "t",
    ],
    classifier: None,
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: [
            ["emnist-balanced-train-images-idx3-ubyte", "emnist-balanced-train-labels-idx1-ubyte"],
            ["emnist-balanced-test-images-idx3-ubyte", "emnist-balanced-test-labels-idx1-ubyte"],
        ],
        below: &["gzip", "raw", "EMNIST/raw"],
        written: Written::Transposed,
        first_label: 0,
        hub: None,
    }),
};
