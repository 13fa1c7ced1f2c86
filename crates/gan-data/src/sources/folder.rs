//! Any PNG, JPEG and WebP files.

use super::{Descriptor, Source};
use crate::format::Format;

pub(super) static SET: Descriptor = Descriptor {
    name: "folder",
    title: "a folder",
    summary: "PNG, JPEG and WebP files in a directory and below, or MNIST's IDX files",
    note: None,
    train: None,
    test: None,
    shape: None,
    classes: &[],
    classifier: None,
    sha256: None,
    format: Format::Folder { or_files_of: Source::MNIST },
};
