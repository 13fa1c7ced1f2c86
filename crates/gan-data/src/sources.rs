//! The data sets that can be named. A file of `sources/` says all that is known of one; the names in configurations and on the
//! command line, the reading, the checks and the judging follow from it.

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
mod stacked_mnist;

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::DataError;
use crate::format::Format;
#[cfg(feature = "embedded")]
pub use mnist_5k::mnist_5k;

/// In the order in which people are told of them.
const ALL: [Source; 11] = [
    Source(&mnist_5k::SET),
    Source(&mnist::SET),
    Source(&fashion_mnist::SET),
    Source(&kmnist::SET),
    Source(&emnist_digits::SET),
    Source(&emnist_letters::SET),
    Source(&emnist_balanced::SET),
    Source(&cifar_10::SET),
    Source(&cifar_100::SET),
    Source(&stacked_mnist::SET),
    Source(&folder::SET),
];

/// Their names, in the form that serde asks for.
const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = ALL[i].0.name;
        i += 1;
    }
    names
};

/// A data set that can be named: a handle to its descriptor, whose fields it shows.
#[derive(Clone, Copy)]
pub struct Source(&'static Descriptor);

/// What is known of a data set before its files are read.
#[derive(Debug)]
pub struct Descriptor {
    /// The name in a configuration and on the command line.
    pub name: &'static str,
    /// What its authors call it.
    pub title: &'static str,
    /// What it holds, in a line.
    pub summary: &'static str,
    /// What else is worth knowing of it, in a sentence.
    pub note: Option<&'static str>,
    /// Images to train on; none where the directory decides.
    pub train: Option<usize>,
    /// Held-out images; none where there are none, or the directory decides.
    pub test: Option<usize>,
    /// None where the images are fitted to what is asked for.
    pub shape: Option<ImageShape>,
    /// Names of the classes, in the order of their labels; none where images have no labels, or the directory decides.
    pub classes: &'static [&'static str],
    /// Name of the classifier that learned on it, or on what it is made of, where gan-metrics has one.
    pub classifier: Option<&'static str>,
    /// The published files by name, with the SHA-256 of their uncompressed bytes; none where nobody has verified these.
    pub sha256: Option<&'static [(&'static str, &'static str)]>,
    /// Where the images are, and what reads them.
    pub(crate) format: Format,
}

/// The shape of every image of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// Height and width.
    pub side: usize,
}

/// The part of a data set to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images that are held out.
    Test,
}

/// How a data set is composed of another's images, and how much of it to judge by. There is no end of such images, and any
/// are as good as any others, so a part is enough.
#[derive(Debug)]
pub struct Composed {
    /// The data set whose gray images are its red, green and blue.
    pub of: Source,
    /// Decides which three: a seed of the data set's own, so that each run has the same images.
    pub(crate) seed: u64,
    /// Images that are compared with at most, and that copies are sought among.
    pub compared: usize,
    /// Images that are compared with at most, for each that is judged.
    pub compared_for_each: usize,
    /// Images that are judged where no number is asked for.
    pub judged: usize,
}

impl Source {
    /// 5,000 digits that need no files: what programs start with.
    pub const MNIST_5K: Self = Self(&mnist_5k::SET);
    /// What programs take a directory for.
    pub const MNIST: Self = Self(&mnist::SET);

    /// Every data set.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter()
    }

    /// Number of classes, where it is known without reading: None for a folder, and where images have no labels.
    #[must_use]
    pub fn classes(self) -> Option<usize> {
        Some(self.classes.len()).filter(|&classes| classes > 0)
    }

    /// The parts of it, as far as they are known without reading: a folder is training data.
    #[must_use]
    pub fn splits(self) -> &'static [Split] {
        if self.test.is_some() { &[Split::Train, Split::Test] } else { &[Split::Train] }
    }

    /// How it is composed of another's images, if it is.
    #[must_use]
    pub fn composed(self) -> Option<&'static Composed> {
        match &self.0.format {
            Format::Stacked(composed) => Some(composed),
            Format::Embedded { .. } | Format::Idx(_) | Format::Cifar(_) | Format::Folder { .. } => None,
        }
    }

    /// The data set whose files are read: itself, or what it is composed of.
    #[must_use]
    pub fn made_of(self) -> Self {
        self.composed().map_or(self, |composed| composed.of)
    }

    /// The data set that it is a part of, if it is a part that needs no files.
    #[must_use]
    pub fn embedded_part_of(self) -> Option<Self> {
        match self.0.format {
            Format::Embedded { part_of, .. } => Some(part_of),
            Format::Idx(_) | Format::Cifar(_) | Format::Stacked(_) | Format::Folder { .. } => None,
        }
    }
}

impl Descriptor {
    /// How many images a split has, where it has any and their number is known.
    pub(crate) fn count(&self, split: Split) -> Option<usize> {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

impl Split {
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
