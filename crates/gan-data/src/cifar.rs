//! Reads the binary format of CIFAR-10 and CIFAR-100. A file is a sequence of 32x32 RGB images,
//! each after its labels. There is no header, so the data set's descriptor says how long a file may
//! be.

use std::path::Path;

use crate::packed::Content;
use crate::sources::{Descriptor, Split};
use crate::{DataError, Dataset, Result, spelling};

const CHANNELS: usize = 3;
const SIDE: usize = 32;
const AREA: usize = CHANNELS * SIDE * SIDE;

/// The names of the files, and the labels in them.
#[derive(Debug)]
pub(crate) struct CifarFiles {
    /// The training files. Each has the same number of images.
    pub(crate) train: &'static [&'static str],
    /// The test files.
    pub(crate) test: &'static [&'static str],
    /// The directory below the given one that the archive unpacks to.
    pub(crate) below: &'static [&'static str],
    /// The bytes before each image: the name of each label and its number of values. The last label
    /// is the class.
    pub(crate) labels: &'static [(&'static str, usize)],
}

impl CifarFiles {
    /// Reads a split of `set` from `dir`: 32x32 RGB images with labels. The files may be raw or
    /// `.gz`. They may be in `dir` or in the directory there that the archive unpacks to.
    ///
    /// # Errors
    ///
    /// If a file is missing, cannot be read, is empty, ends within an image, or is longer than the
    /// data set's images. If a label is not in the data set's range.
    pub(crate) fn read(&self, set: &Descriptor, dir: &Path, split: Split) -> Result<Dataset> {
        let names = match split {
            Split::Train => self.train,
            Split::Test => self.test,
        };
        let find = |name: &&str| spelling::require(dir, name, self.below);
        // All files are located before the first is read, so that a missing file is reported early.
        let paths: Vec<_> = names.iter().map(find).collect::<Result<_>>()?;
        let most = set.count(split).unwrap_or_default() / names.len();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for path in &paths {
            self.read_file(Content::open(path)?, most, &mut pixels, &mut labels)?;
        }
        let origin = match &paths[..] {
            [first, .., last] => format!("{} to {}", first.display(), last.display()),
            paths => paths.iter().map(|path| path.display().to_string()).collect(),
        };
        set.label(Dataset::new(set.name, origin, pixels, CHANNELS, SIDE)?, labels)
    }

    /// Appends the images of a file. It accepts at most `most` images.
    fn read_file(
        &self,
        mut content: Content<'_>,
        most: usize,
        pixels: &mut Vec<u8>,
        classes: &mut Vec<u16>,
    ) -> Result<()> {
        let path = content.path();
        let record = self.labels.len() + AREA;
        let longest = (most * record) as u64;
        // One byte more than allowed is enough to detect a file that is too long, whatever it
        // inflates to.
        let bytes = content.read(longest + 1)?;
        if bytes.len() as u64 > longest {
            return Err(DataError::Trailing { path: path.to_owned(), expected: longest });
        }
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let (record, found) = (record as u64, bytes.len() as u64);
            return Err(DataError::Records { path: path.to_owned(), record, found });
        }
        for (index, image) in bytes.chunks_exact(record).enumerate() {
            let (labels, image) = image.split_at(self.labels.len());
            for (&found, &(what, values)) in labels.iter().zip(self.labels) {
                let expected = 0..=values - 1;
                if !expected.contains(&usize::from(found)) {
                    let path = path.to_owned();
                    return Err(DataError::Label { path, what, index, expected, found });
                }
            }
            pixels.extend_from_slice(image);
            classes.extend(labels.last().copied().map(u16::from));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
