//! Reads data sets of four IDX files: images and labels for training and for testing.

use std::path::Path;

use crate::hub::{self, Repository};
use crate::idx::{self, IdxImages};
use crate::sources::{Descriptor, Split};
use crate::{DataError, Dataset, Result, Source, spelling};

/// File names that all data sets in MNIST's format share. So only the directory tells which data
/// set it contains.
pub(crate) const MNIST_NAMES: [[&str; 2]; 2] = [
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
    ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
];

/// The names of the four files, and how they are read.
#[derive(Debug)]
pub(crate) struct IdxFiles {
    /// Images and labels of the training split, then of the test split.
    pub(crate) names: [[&'static str; 2]; 2],
    /// The directory that the archive unpacks to, if it is specific to the data set.
    pub(crate) unpacked: Option<&'static str>,
    /// The order of pixels.
    pub(crate) written: Written,
    /// The label of the first class.
    pub(crate) first_label: u8,
    /// The hub's copy of the images, if there is one.
    pub(crate) hub: Option<Repository>,
}

/// The order in which the pixels of an image are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Row by row.
    Upright,
    /// Column by column, so rows and columns must be swapped.
    Transposed,
}

impl IdxFiles {
    /// Reads a split of `set` from `dir`: square gray images with labels. Each file may be called
    /// `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, and may be raw or `.gz`. Raw files
    /// are preferred.
    ///
    /// # Errors
    ///
    /// If a file is missing or broken (see [`idx::read_images`]), images do not have the set's
    /// size, a label is not one of its classes, or the numbers of labels and images differ.
    pub(crate) fn read(&self, set: &Descriptor, dir: &Path, split: Split) -> Result<Dataset> {
        let [images_path, labels_path] =
            self.names_of(split).map(|file| spelling::require(dir, file, self.unpacked));
        let (images_path, labels_path) = (images_path?, labels_path?);
        let mut images = idx::read_images(&images_path)?;
        let labels = idx::read_labels(&labels_path)?;
        if self.written == Written::Transposed {
            transpose(&mut images);
        }
        let origin = images_path.display().to_string();
        combine(set, self.first_label, origin, (images, &images_path), (labels, &labels_path))
    }

    /// Whether `dir` contains the images of this split, in any spelling.
    pub(crate) fn are_in(&self, dir: &Path, split: Split) -> bool {
        spelling::find(dir, self.names_of(split)[0], self.unpacked).is_some()
    }

    /// Loads a split of `set` from the hub.
    ///
    /// # Errors
    ///
    /// If the data set is not on the hub, this build has no hub support, or the hub fails.
    pub(crate) fn load_from_hub(&self, set: &Descriptor, split: Split) -> Result<Dataset> {
        match self.hub {
            Some(repository) => hub::load(set, repository, split),
            None => Err(DataError::MissingDir { name: set.name }),
        }
    }

    fn names_of(&self, split: Split) -> [&'static str; 2] {
        let [train, test] = self.names;
        match split {
            Split::Train => train,
            Split::Test => test,
        }
    }
}

impl Source {
    /// Whether a build with the feature `hub` can download it.
    #[must_use]
    pub fn is_on_hub(self) -> bool {
        self.format.idx_files().is_some_and(|files| files.hub.is_some())
    }

    /// Downloads a split and writes it into `dir` as gzipped IDX files with the usual names.
    ///
    /// # Errors
    ///
    /// If the data set [is not on the hub](Self::is_on_hub), this build cannot download, the hub
    /// fails, or a file cannot be written.
    pub fn download(self, split: Split, dir: impl AsRef<Path>) -> Result<Dataset> {
        let Some(files) = self.format.idx_files().filter(|files| files.hub.is_some()) else {
            let names: Vec<_> = Self::all().filter(|source| source.is_on_hub()).map(|on| on.name).collect();
            return Err(DataError::Value {
                field: "name",
                expected: format!("a data set on the hub ({})", names.join(", ")),
                found: self.name.to_owned(),
            });
        };
        let data = files.load_from_hub(&self, split)?;
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(|source| DataError::Write { path: dir.to_owned(), source })?;
        let pixels = (0..data.len()).flat_map(|index| data.image(index).into_owned()).collect();
        let images = IdxImages { count: data.len(), rows: data.size(), cols: data.size(), pixels };
        let [images_file, labels_file] = files.names_of(split).map(|file| dir.join(format!("{file}.gz")));
        idx::write_images_gz(images_file, &images)?;
        idx::write_labels_gz(labels_file, data.labels().unwrap_or_default())?;
        Ok(data)
    }
}

/// Combines images and labels into a data set. The label of the first class is `first_label`.
///
/// # Errors
///
/// If images do not have the set's size, a label is not one of its classes, or the numbers of
/// labels and images differ.
pub(crate) fn combine(
    set: &Descriptor,
    first_label: u8,
    origin: String,
    (images, images_path): (IdxImages, &Path),
    (mut labels, labels_path): (Vec<u8>, &Path),
) -> Result<Dataset> {
    let (found, classes) = ((images.rows, images.cols), set.classes.len());
    let expected = set.shape.map_or(found, |shape| (shape.side, shape.side));
    if found != expected {
        return Err(DataError::Dimensions { path: images_path.to_owned(), expected, found });
    }
    if images.count != labels.len() {
        return Err(DataError::Counts {
            images: images_path.to_owned(),
            image_count: images.count,
            labels: labels_path.to_owned(),
            label_count: labels.len(),
        });
    }
    let first = usize::from(first_label);
    let expected = first..=first + classes - 1;
    if let Some((index, &found)) =
        labels.iter().enumerate().find(|&(_, &label)| !expected.contains(&usize::from(label)))
    {
        let path = labels_path.to_owned();
        return Err(DataError::Label { path, what: "label", index, expected, found });
    }
    for label in &mut labels {
        *label -= first_label;
    }
    Dataset::new(set.name, origin, images.pixels, 1, images.rows)?.with_labels(labels, classes)
}

/// Swaps rows and columns of each image. Images that are not square stay unchanged.
fn transpose(images: &mut IdxImages) {
    let side = images.rows;
    if side != images.cols {
        return;
    }
    for image in images.pixels.chunks_exact_mut(side * side) {
        for row in 0..side {
            for col in 0..row {
                image.swap(row * side + col, col * side + row);
            }
        }
    }
}

#[cfg(test)]
mod tests;
