//! Kuzushiji-MNIST: cursive Japanese characters in MNIST's format (Clanuwat et al. 2018, arXiv
//! 1812.01718).

use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::idx_files::{IdxFiles, MNIST_NAMES, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "kmnist",
    title: "Kuzushiji-MNIST",
    summary: "Kuzushiji-MNIST's cursive hiragana",
    note: None,
    train: Some(60_000),
    test: Some(10_000),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    classifier: None,
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: MNIST_NAMES,
        below: &["raw", "KMNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: None,
    }),
};
