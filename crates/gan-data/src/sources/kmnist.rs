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
    // TensorFlow Datasets and TorchVision for Ruby have these hashes of the published files.
    sha256: Some(&[
        ("train-images-idx3-ubyte.gz", "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        ("train-labels-idx1-ubyte.gz", "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        ("t10k-images-idx3-ubyte.gz", "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        ("t10k-labels-idx1-ubyte.gz", "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ]),
    format: Format::Idx(IdxFiles {
        names: MNIST_NAMES,
        below: &["raw", "KMNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: None,
    }),
};
