//! Reads data sets of four IDX files: images and labels for training and for testing.

use std::path::{Path, PathBuf};

use crate::canonical::{Kind, other_file};
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
    /// Directories below the given one that may contain the files: the one that the archive unpacks
    /// to, and those that torchvision makes.
    pub(crate) below: &'static [&'static str],
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
    /// Reads a split of `set` from `dir`: square gray images, with labels if there is a file of
    /// labels. Each file may be called `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, and
    /// may be raw or `.gz`. Raw files are preferred.
    ///
    /// # Errors
    ///
    /// If the images are missing, a file is broken (see [`idx::read_images`]), images are not
    /// square, a label is not one of the set's classes, the numbers of labels and images differ, the
    /// file is that of another data set, or a file of another usual name has other content.
    pub(crate) fn read(&self, set: &Descriptor, dir: &Path, split: Split) -> Result<Dataset> {
        let [images_file, labels_file] = self.names_of(split);
        let images_path = spelling::require(dir, images_file, self.below)?;
        // Labels elsewhere could be those of other images.
        let labels_path = images_path.parent().and_then(|dir| spelling::find(dir, labels_file, &[]));
        if let Some(path) = &labels_path {
            spelling::check_alone(path, labels_file)?;
        }
        let images = idx::open_images(&images_path)?;
        let [count, rows, cols] = images.dimensions();
        check_square(set, &images_path, (rows, cols))?;
        // The numbers are compared before the images are read, because these can be large.
        let labels = labels_path.as_deref().map(|path| (idx::open_labels(path), path));
        if let Some((Ok(labels), path)) = &labels {
            same_number((&images_path, count), (path, labels.count()))?;
        }
        let mut images = images.read()?;
        let labels = labels.map(|(labels, path)| Ok::<_, DataError>((labels?.read()?, path))).transpose()?;
        let sha256 = || {
            let header = idx::header(idx::IMAGES_MAGIC, &[count, rows, cols]).unwrap_or_default();
            gan_files::sha256(&[&header, &images.pixels])
        };
        if let Some(found) = other_file(set, images_file, Kind::Images, count, sha256) {
            return Err(other(set, split, images_path, "images", found));
        }
        if let Some((labels, path)) = &labels {
            let sha256 = || {
                let header = idx::header(idx::LABELS_MAGIC, &[labels.len()]).unwrap_or_default();
                gan_files::sha256(&[&header, labels])
            };
            if let Some(found) = other_file(set, labels_file, Kind::Labels, labels.len(), sha256) {
                return Err(other(set, split, (*path).to_owned(), "labels", found));
            }
        }
        if self.written == Written::Transposed {
            transpose(&mut images);
        }
        let mut origin = images_path.display().to_string();
        if labels.is_none() {
            origin += &[" (without labels: ", labels_file, " is missing)"].concat();
        }
        combine(set, self.first_label, origin, (images, &images_path), labels)
    }

    /// Whether `dir` contains the images of this split, in any spelling.
    pub(crate) fn are_in(&self, dir: &Path, split: Split) -> bool {
        spelling::find(dir, self.names_of(split)[0], self.below).is_some()
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
        // The data sets on the hub have ten classes.
        let labels: Vec<u8> = data.labels().unwrap_or_default().iter().map(|&label| label as u8).collect();
        idx::write_labels_gz(labels_file, &labels)?;
        Ok(data)
    }
}

/// Combines images and labels into a data set. The label of the first class is `first_label`.
///
/// # Errors
///
/// If images are not square, a label is not one of the set's classes, or the numbers of labels and
/// images differ.
pub(crate) fn combine(
    set: &Descriptor,
    first_label: u8,
    origin: String,
    (images, images_path): (IdxImages, &Path),
    labels: Option<(Vec<u8>, &Path)>,
) -> Result<Dataset> {
    check_square(set, images_path, (images.rows, images.cols))?;
    let data = Dataset::new(set.name, origin, images.pixels, 1, images.rows)?;
    let unusual = set.shape.is_some_and(|shape| shape.side != images.rows);
    let data = if unusual { data.with_unusual_size() } else { data };
    let Some((labels, labels_path)) = labels else { return Ok(data) };
    same_number((images_path, images.count), (labels_path, labels.len()))?;
    let (first, classes) = (usize::from(first_label), set.classes.len());
    let expected = first..=first + classes - 1;
    if let Some((index, &found)) =
        labels.iter().enumerate().find(|&(_, &label)| !expected.contains(&usize::from(label)))
    {
        let path = labels_path.to_owned();
        return Err(DataError::Label { path, what: "label", index, expected, found });
    }
    let labels = labels.into_iter().map(|label| u16::from(label - first_label)).collect();
    set.label(data, labels)
}

/// The error for a file of another data set or split.
fn other(
    set: &Descriptor,
    split: Split,
    path: PathBuf,
    what: &'static str,
    (source, found): (Source, Split),
) -> DataError {
    let name = |split: Split| match split {
        Split::Train => "training",
        Split::Test => "test",
    };
    DataError::OtherFile {
        path,
        expected: format!("the {} {what} of {}", name(split), set.name),
        found: format!("the {} {what} of {}", name(found), source.name),
        // A file with another split's name cannot be used as it is.
        set: (source.name != set.name && found == split).then_some(source.name),
    }
}

/// Images of another size than the published ones are accepted if they are square, because people
/// pad MNIST to 32x32.
fn check_square(set: &Descriptor, path: &Path, found: (usize, usize)) -> Result<()> {
    if found.0 == found.1 {
        return Ok(());
    }
    let expected = set.shape.map_or((found.0, found.0), |shape| (shape.side, shape.side));
    Err(DataError::Dimensions { path: path.to_owned(), expected, found })
}

fn same_number((images, image_count): (&Path, usize), (labels, label_count): (&Path, usize)) -> Result<()> {
    if image_count == label_count {
        return Ok(());
    }
    let (images, labels) = (images.to_owned(), labels.to_owned());
    Err(DataError::Counts { images, image_count, labels, label_count })
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
