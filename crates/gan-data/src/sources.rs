//! The data sets that have a name. A file of `sources/` contains all that is known about one of
//! them. Its name in configurations and on the command line, the reading, the checks and the
//! evaluation follow from that file.

mod cifar_10;
mod cifar_100;
mod emnist_balanced;
mod emnist_digits;
mod emnist_letters;
mod fashion_mnist;
mod folder;
mod kmnist;
mod mnist;
mod mnist_5k;
mod qmnist;
mod stacked_mnist;

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::format::Format;
use crate::{DataError, Dataset};
#[cfg(feature = "embedded")]
pub use mnist_5k::mnist_5k;

/// The order is that of messages and help.
const ALL: &[Source] = &[
    Source(&mnist_5k::SET),
    Source(&mnist::SET),
    Source(&fashion_mnist::SET),
    Source(&kmnist::SET),
    Source(&qmnist::SET),
    Source(&emnist_digits::SET),
    Source(&emnist_letters::SET),
    Source(&emnist_balanced::SET),
    Source(&cifar_10::SET),
    Source(&cifar_100::SET),
    Source(&stacked_mnist::SET),
    Source(&folder::SET),
];

/// Their names, in the form that serde requires.
const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = ALL[i].0.name;
        i += 1;
    }
    names
};

/// A data set that has a name. It is a handle to its descriptor and gives access to the
/// descriptor's fields.
#[derive(Clone, Copy)]
pub struct Source(&'static Descriptor);

/// What is known about a data set before its files are read.
#[derive(Debug)]
pub struct Descriptor {
    /// The name in a configuration and on the command line.
    pub name: &'static str,
    /// The name that its authors use.
    pub title: &'static str,
    /// Its content, in one line.
    pub summary: &'static str,
    /// Other useful information about it, in one sentence.
    pub note: Option<&'static str>,
    /// Number of training images. `None` if the directory determines it.
    pub train: Option<usize>,
    /// Number of test images. `None` if there are none, or if the directory determines it.
    pub test: Option<usize>,
    /// The shape of the images. `None` if images are converted to the requested shape.
    pub shape: Option<ImageShape>,
    /// Names of the classes, in the order of their labels. Empty if images have no labels, or if
    /// the directory determines them.
    pub classes: &'static [&'static str],
    /// Name of the classifier that was trained on it, or on the data set that it is made of. `None`
    /// if gan-metrics has none.
    pub classifier: Option<&'static str>,
    /// The published files by name, with the SHA-256 of their uncompressed bytes, or of the compressed ones
    /// if the name ends in `.gz`. `None` if nobody has verified the hashes.
    pub sha256: Option<&'static [(&'static str, &'static str)]>,
    /// Where the images are, and how they are read.
    pub(crate) format: Format,
}

/// The shape of every image of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Number of channels: 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// Height and width.
    pub side: usize,
}

/// The part of a data set to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Images for training.
    Train,
    /// Held-out images.
    Test,
}

/// How a data set is composed of another data set's images, and how many of its images an
/// evaluation uses. There are endlessly many such images, and any of them serve equally well, so a
/// part is enough.
#[derive(Debug)]
pub struct Composed {
    /// The data set whose gray images become red, green and blue.
    pub of: Source,
    /// Determines the three images of each stack. The seed belongs to the data set, so that each
    /// run has the same images.
    pub(crate) seed: u64,
    /// Maximum number of images to compare with, and to search for copies.
    pub compared: usize,
    /// Maximum number of images to compare with, per evaluated image.
    pub compared_for_each: usize,
    /// Number of evaluated images by default.
    pub judged: usize,
}

impl Source {
    /// 5,000 digits that need no files. Programs use them by default.
    pub const MNIST_5K: Self = Self(&mnist_5k::SET);
    /// The data set that programs expect in a directory by default.
    pub const MNIST: Self = Self(&mnist::SET);

    /// Every data set.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// Number of classes, if it is known before reading. `None` for a folder, and for images
    /// without labels.
    #[must_use]
    pub fn classes(self) -> Option<usize> {
        Some(self.classes.len()).filter(|&classes| classes > 0)
    }

    /// The splits that are known before reading. A folder has only training data.
    #[must_use]
    pub fn splits(self) -> &'static [Split] {
        if self.test.is_some() { &[Split::Train, Split::Test] } else { &[Split::Train] }
    }

    /// How it is composed of another data set's images, if it is.
    #[must_use]
    pub fn composed(self) -> Option<&'static Composed> {
        match &self.0.format {
            Format::Stacked(composed) => Some(composed),
            Format::Embedded { .. } | Format::Idx(_) | Format::Cifar(_) | Format::Folder { .. } => None,
        }
    }

    /// The data set whose files are read: the one that it is composed of, or itself.
    #[must_use]
    pub fn made_of(self) -> Self {
        self.composed().map_or(self, |composed| composed.of)
    }

    /// The data set that contains it, if it is an embedded part that needs no files.
    #[must_use]
    pub fn embedded_part_of(self) -> Option<Self> {
        match self.0.format {
            Format::Embedded { part_of, .. } => Some(part_of),
            Format::Idx(_) | Format::Cifar(_) | Format::Stacked(_) | Format::Folder { .. } => None,
        }
    }
}

impl Descriptor {
    /// The same images with their classes, which have the names of this data set.
    pub(crate) fn label(&self, data: Dataset, labels: Vec<u16>) -> crate::Result<Dataset> {
        let names = self.classes.iter().map(ToString::to_string).collect();
        data.with_labels(labels, self.classes.len())?.with_class_names(names)
    }

    /// Number of images in a split, if the split exists and the number is known.
    pub(crate) fn count(&self, split: Split) -> Option<usize> {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

impl Split {
    pub(crate) const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// `train` or `test`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl Deref for Source {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        self.0
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Source {}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

impl FromStr for Source {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::all().find(|source| source.name == name).ok_or_else(|| DataError::Value {
            field: "data.name",
            expected: format!("one of {}", NAMES.join(", ")),
            found: name.to_owned(),
        })
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|_| de::Error::unknown_variant(&name, &NAMES))
    }
}

#[cfg(test)]
mod tests;
