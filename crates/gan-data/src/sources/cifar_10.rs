//! CIFAR-10: photographs of ten kinds of things (Krizhevsky 2009), in the binary form of
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::{Descriptor, ImageShape};
use crate::cifar::CifarFiles;
use crate::format::Format;

pub(super) static SET: Descriptor = Descriptor {
    name: "cifar-10",
    title: "CIFAR-10",
    summary: "CIFAR-10's photographs, 32x32 RGB",
    note: None,
    train: Some(50_000),
    test: Some(10_000),
    shape: Some(ImageShape { channels: 3, side: 32 }),
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    classifier: None,
    sha256: None,
    format: Format::Cifar(CifarFiles {
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: &["test_batch.bin"],
        below: &["cifar-10-batches-bin"],
        labels: &[("label", 10)],
    }),
};
