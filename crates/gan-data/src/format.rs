//! The formats of data sets, and the code that reads each of them.

use std::path::Path;

use crate::cifar::CifarFiles;
use crate::folder::{Crop, Options, Transform};
use crate::idx_files::IdxFiles;
use crate::sources::Composed;
use crate::{DataError, Dataset, Result, Source, Split, folder, spelling};

/// Where the images of a data set are, and how they are read.
#[derive(Debug)]
pub(crate) enum Format {
    /// In this crate.
    Embedded {
        read: fn() -> Result<Dataset>,
        /// The data set that contains these images.
        part_of: Source,
    },
    /// Four IDX files.
    Idx(IdxFiles),
    /// CIFAR's binary files.
    Cifar(CifarFiles),
    /// Composed of another data set's images when they are requested.
    Stacked(Composed),
    /// PNG, JPEG and WebP files. If there are none, the files of another data set.
    Folder { or_files_of: Source },
}

impl Format {
    /// The IDX files, if the data set has this format.
    pub(crate) fn idx_files(&self) -> Option<&IdxFiles> {
        match self {
            Self::Idx(files) => Some(files),
            Self::Embedded { .. } | Self::Cifar(_) | Self::Stacked(_) | Self::Folder { .. } => None,
        }
    }

    /// The directories below the given one that may contain the files.
    pub(crate) fn below(&self) -> &'static [&'static str] {
        match self {
            Self::Idx(files) => files.below,
            Self::Cifar(files) => files.below,
            Self::Embedded { .. } | Self::Stacked(_) | Self::Folder { .. } => &[],
        }
    }
}

/// Refuses settings for pictures, which would have no effect on the files of `other`.
fn check_unchanged(dir: &Path, other: Source, transform: Transform) -> Result<()> {
    let Transform { crop, background } = transform;
    let (field, found) = if crop != Crop::default() {
        ("data.crop", crop.to_string())
    } else if let Some(background) = background {
        ("data.background", background.to_string())
    } else {
        return Ok(());
    };
    let expected = format!("none, because {} has the files of {} and no pictures", dir.display(), other.name);
    Err(DataError::Value { field, expected, found })
}

impl Source {
    /// Whether the data set must be read from a directory. This is so if its files are neither in
    /// this crate nor on the hub.
    pub(crate) fn needs_dir(self) -> bool {
        match &self.format {
            Format::Embedded { .. } => false,
            Format::Idx(files) => files.hub.is_none(),
            Format::Stacked(composed) => composed.of.needs_dir(),
            Format::Cifar(_) | Format::Folder { .. } => true,
        }
    }

    /// Whether a folder holds the files of another data set's test split. Other data sets say before
    /// reading whether they have one.
    pub(crate) fn has_test_files(self, dir: Option<&Path>) -> bool {
        let (&Format::Folder { or_files_of }, Some(dir)) = (&self.format, dir) else { return false };
        or_files_of.format.idx_files().is_some_and(|files| files.are_in(dir, Split::Test))
    }

    /// Reads a split at the size of `options`, from `dir` or without files. The images of a folder
    /// are converted to its channels. All others keep their own.
    ///
    /// # Errors
    ///
    /// If the split does not exist, `dir` is no directory, or the files that the format needs are
    /// missing or broken.
    pub(crate) fn read(self, dir: Option<&Path>, split: Split, options: &Options<'_>) -> Result<Dataset> {
        if let (&Format::Folder { or_files_of }, Some(dir)) = (&self.format, dir) {
            return self.read_folder(dir, split, options, or_files_of);
        }
        if let Some(dir) = dir {
            spelling::require_dir(dir)?;
        }
        self.read_as_published(dir, split)?.resize(options.size)
    }

    /// Whether the data set consists of any pictures.
    #[must_use]
    pub fn is_folder(self) -> bool {
        matches!(self.format, Format::Folder { .. })
    }

    /// Reads a split whose images have a fixed size.
    fn read_as_published(self, dir: Option<&Path>, split: Split) -> Result<Dataset> {
        match (&self.format, dir) {
            (Format::Embedded { .. }, _) if split == Split::Test => {
                Err(DataError::NoSplit { name: self.name.to_owned() })
            }
            (Format::Embedded { read, .. }, _) => read(),
            (Format::Idx(files), Some(dir)) => files.read(&self, dir, split),
            (Format::Idx(files), None) => files.load_from_hub(&self, split),
            (Format::Cifar(files), Some(dir)) => files.read(&self, dir, split),
            (Format::Stacked(composed), dir) => {
                let digits = composed.of.read_as_published(dir, split)?.named(self.name);
                digits.stacked(composed.seed, self.count(split).unwrap_or_default())
            }
            (Format::Cifar(_) | Format::Folder { .. }, _) => Err(DataError::MissingDir { name: self.name }),
        }
    }

    /// Reads the pictures of a directory. If there are none, it reads the files of `other`.
    fn read_folder(self, dir: &Path, split: Split, options: &Options<'_>, other: Source) -> Result<Dataset> {
        let pictures = match split {
            Split::Train => folder::load(dir, options),
            Split::Test => Err(DataError::NoSplit { name: dir.display().to_string() }),
        };
        match (pictures, other.format.idx_files()) {
            (Err(DataError::NoImages { .. } | DataError::NoSplit { .. }), Some(files))
                if files.are_in(dir, split) =>
            {
                check_unchanged(dir, other, options.transform)?;
                files.read(&other, dir, split)?.named(self.name).resize(options.size)
            }
            (pictures, _) => pictures,
        }
    }
}
