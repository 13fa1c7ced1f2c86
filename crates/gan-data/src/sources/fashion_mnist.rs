//! Fashion-MNIST: pictures of clothes in MNIST's format (Xiao et al. 2017, arXiv 1708.07747).

use super::{Descriptor, ImageShape};
use crate::format::Format;
use crate::hub::Repository;
use crate::idx_files::{IdxFiles, MNIST_NAMES, Written};

pub(super) static SET: Descriptor = Descriptor {
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    summary: "Fashion-MNIST's clothes",
    note: None,
    train: Some(60_000),
    test: Some(10_000),
    shape: Some(ImageShape { channels: 1, side: 28 }),
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    classifier: Some("fashion-mnist"),
    sha256: None,
    format: Format::Idx(IdxFiles {
        names: MNIST_NAMES,
        below: &["raw", "FashionMNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: Some(Repository::FashionMnist),
    }),
};
