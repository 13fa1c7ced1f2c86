//! MNIST: handwritten digits.

use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::hub::Repository;
use crate::idx_files::{IdxFiles, MNIST_NAMES, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "mnist",
    title: "MNIST",
    summary: "MNIST's digits",
    note: None,
    train: Some(60_000),
    test: Some(10_000),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &DIGITS,
    classifier: Some("mnist"),
    // These are hashes of the files first published by LeCun, Cortes and Burges, after gunzip.
    sha256: Some(&[
        ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ]),
    format: Format::Idx(IdxFiles {
        names: MNIST_NAMES,
        below: &["raw", "MNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: Some(Repository::Mnist),
    }),
};

pub(super) const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
