//! The table `[data]` of an experiment, and how its data set is loaded.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::{Background, Crop, Options, Transform};
use crate::{DataError, Dataset, Range, Result, Source, Split};

/// The training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataConfig {
    /// The data set.
    pub name: Source,
    /// Number of images in a batch.
    pub batch_size: usize,
    /// The directory of its files, or a zip archive of pictures. Without it, `mnist`, `fashion-mnist` and the digits of
    /// `stacked-mnist` come from the hub.
    #[serde(default, skip_serializing_if = "is_unwritable")]
    pub dir: Option<PathBuf>,
    /// The range that pixels are mapped to.
    #[serde(default)]
    pub range: Range,
    /// Maximum number of training images. Evenly spaced images are used. If it is absent, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Share of the images that are kept from training, in (0, 0.5], for data without a test split.
    /// Evenly spaced images are used. They are the test split then. If it is absent, none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<f64>,
    /// The part of each picture of a folder that is kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crop: Crop,
    /// The colour behind transparent parts of a folder's pictures. Black if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// Whether half of the images in the batches are mirrored (left and right).
    #[serde(default, skip_serializing_if = "is_default")]
    pub flip: bool,
}

/// Whether a value can be left out of a configuration, because it is the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The largest share of the images that may be kept from training.
const MOST_HELD_OUT: f64 = 0.5;

/// Whether a path cannot be written to a configuration. TOML is Unicode, and a path need not be. A
/// run with such a directory is resumed with `--data-dir`.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn is_unwritable(dir: &Option<PathBuf>) -> bool {
    dir.as_deref().and_then(Path::to_str).is_none()
}

impl DataConfig {
    /// The data set in this directory, with every other value at its default.
    #[must_use]
    pub fn of(name: Source, dir: Option<PathBuf>) -> Self {
        Self {
            name,
            batch_size: 1,
            dir,
            range: Range::default(),
            limit: None,
            hold_out: None,
            crop: Crop::default(),
            background: None,
            flip: false,
        }
    }

    /// Checks all values that can be checked before data are read.
    ///
    /// # Errors
    ///
    /// If the batch size or the limit is 0, if the share to hold out is not in (0, 0.5] or the data
    /// set has a test split, if a data set that needs files has no directory, or if the embedded
    /// digits have one.
    pub fn validate(&self) -> Result<()> {
        if self.batch_size == 0 {
            return Err(DataError::Value {
                field: "data.batch-size",
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        }
        if self.limit == Some(0) {
            return Err(DataError::Value {
                field: "data.limit",
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        }
        self.crop.validate()?;
        let of_folders =
            [("data.crop", !is_default(&self.crop)), ("data.background", !is_default(&self.background))];
        if let Some((field, _)) = of_folders.iter().find(|(_, is_set)| *is_set && !self.name.is_folder()) {
            let (expected, found) = (format!("no such key for {}", self.name), "one".to_owned());
            return Err(DataError::Value { field, expected, found });
        }
        if let Some(share) = self.hold_out {
            if !(share > 0. && share <= MOST_HELD_OUT) {
                let expected = format!("a share above 0 and up to {MOST_HELD_OUT}");
                return Err(DataError::Value { field: HOLD_OUT, expected, found: share.to_string() });
            }
            if self.name.test.is_some() {
                return Err(has_test_split(self.name.name, share));
            }
        }
        match (self.name.embedded_part_of(), &self.dir) {
            // Without this error the directory would be ignored, and the run would train on data
            // that the user did not choose.
            (Some(whole), Some(dir)) => Err(DataError::Value {
                field: "data.dir",
                expected: format!(
                    "none, as {} is embedded (name = \"{whole}\" reads a directory)",
                    self.name
                ),
                found: dir.display().to_string(),
            }),
            (_, None) if self.name.needs_dir() => Err(DataError::MissingDir { name: self.name.name }),
            _ => Ok(()),
        }
    }

    /// Reads the data set at `size` x `size`. A folder's images are converted to `channels` (1 or
    /// 3). All other images keep their channels, and [`Batches`](crate::Batches) repeats gray ones.
    ///
    /// # Errors
    ///
    /// If [`validate`](Self::validate) fails, the data cannot be read, they are RGB and `channels`
    /// is 1, or the split does not exist. The embedded digits and a folder of images have only
    /// training data, and a test split if [`hold_out`](Self::hold_out) makes one. It is also an error
    /// if a folder with a test split has `hold_out`, or if so few images have it that none is held
    /// out.
    pub fn load(&self, split: Split, size: usize, channels: usize) -> Result<Dataset> {
        self.load_watched(split, size, channels, &|_, _| ())
    }

    /// [`load`](Self::load), which calls `progress` from several threads while it decodes a
    /// folder's pictures: with the number of pictures that are done, and of all.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load).
    pub fn load_watched(
        &self,
        split: Split,
        size: usize,
        channels: usize,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Dataset> {
        self.validate()?;
        let transform = Transform { crop: self.crop, background: self.background };
        let options = Options { size, channels, transform, progress };
        let dir = self.dir.as_deref();
        let data = if let Some(share) = self.hold_out {
            if self.name.has_test_files(dir) {
                return Err(has_test_split(self.name.name, share));
            }
            let [trained, held_out] = self.name.read(dir, Split::Train, &options)?.hold_out(share)?;
            match split {
                Split::Train => trained,
                Split::Test => held_out,
            }
        } else {
            self.name.read(dir, split, &options)?
        };
        data.check_fits("channels", channels)?;
        Ok(match self.limit.filter(|_| split == Split::Train) {
            Some(limit) => data.spread(limit),
            None => data,
        })
    }
}

/// The key in messages.
pub(crate) const HOLD_OUT: &str = "data.hold-out";

fn has_test_split(name: &str, share: f64) -> DataError {
    let expected = format!("none, as {name} has a test split, which is never trained on");
    DataError::Value { field: HOLD_OUT, expected, found: share.to_string() }
}

#[cfg(test)]
mod tests;
