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
    // The labels are from the authors' repository. The images are from Debian's package of it, whose
    // labels are the same.
    sha256: Some(&[
        ("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ]),
    format: Format::Idx(IdxFiles {
        names: MNIST_NAMES,
        below: &["raw", "FashionMNIST/raw"],
        written: Written::Upright,
        first_label: 0,
        hub: Some(Repository::FashionMnist),
    }),
};
