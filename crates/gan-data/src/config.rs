//! The table `[data]` of an experiment, and how its data set is loaded.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::{Background, Crop, Options, Transform};
use crate::{DataError, Dataset, Range, Result, Source, Split};

/// The training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The part of each picture of a folder that is kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crop: Crop,
    /// The colour behind transparent parts of a folder's pictures.
    #[serde(default, skip_serializing_if = "is_default")]
    pub background: Background,
    /// Whether half of the images in the batches are mirrored (left and right).
    #[serde(default, skip_serializing_if = "is_default")]
    pub flip: bool,
}

/// Whether a value can be left out of a configuration, because it is the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a path cannot be written to a configuration. TOML is Unicode, and a path need not be. A
/// run with such a directory is resumed with `--data-dir`.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn is_unwritable(dir: &Option<PathBuf>) -> bool {
    dir.as_deref().and_then(Path::to_str).is_none()
}

impl DataConfig {
    /// A data set with the defaults of all other keys.
    #[must_use]
    pub fn new(name: Source, batch_size: usize) -> Self {
        Self {
            name,
            batch_size,
            dir: None,
            range: Range::default(),
            limit: None,
            crop: Crop::default(),
            background: Background::default(),
            flip: false,
        }
    }

    /// Checks all values that can be checked before data are read.
    ///
    /// # Errors
    ///
    /// If the batch size or the limit is 0, if a data set that needs files has no directory, or if
    /// the embedded digits have one.
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
    /// training data.
    pub fn load(&self, split: Split, size: usize, channels: usize) -> Result<Dataset> {
        self.load_watched(split, size, channels, &|_, _| ())
    }

    /// [`load`](Self::load), which calls `progress` from several threads while it decodes a
    /// folder's pictures: with the number of pictures that are done, and of all.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    pub fn load_watched(
        &self,
        split: Split,
        size: usize,
        channels: usize,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Dataset> {
        self.validate()?;
        let transform = Transform { crop: self.crop, background: self.background };
        let data =
            self.name.read(self.dir.as_deref(), split, &Options { size, channels, transform, progress })?;
        data.check_fits("channels", channels)?;
        Ok(match self.limit.filter(|_| split == Split::Train) {
            Some(limit) => data.spread(limit),
            None => data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idx::{self, IdxImages};

    fn config(name: &str, dir: Option<&Path>) -> DataConfig {
        DataConfig { dir: dir.map(Path::to_owned), ..DataConfig::new(name.parse().unwrap(), 64) }
    }

    #[test]
    fn tables_come_back_as_written() {
        for name in Source::all().map(|source| source.name) {
            let config: DataConfig = toml::from_str(&format!("name = \"{name}\"\nbatch-size = 64")).unwrap();
            assert_eq!(config, self::config(name, None));
            let written = toml::to_string(&config).unwrap();
            assert!(!written.contains("dir") && written.contains("range = \"minus-one-one\""), "{written}");
            assert_eq!(toml::from_str::<DataConfig>(&written).unwrap(), config);
        }
        let full = "name = \"folder\"\nbatch-size = 1\ndir = \"faces\"\nrange = \"zero-one\"\n";
        let config: DataConfig = toml::from_str(full).unwrap();
        assert_eq!((config.dir.as_deref(), config.range), (Some(Path::new("faces")), Range::ZeroOne));
        assert_eq!(toml::to_string(&config).unwrap(), full);
    }

    #[test]
    fn unknown_keys_and_names_are_refused() {
        for (text, part) in [
            ("name = \"mnist\"\nbatch_size = 64", "batch_size"),
            (
                "name = \"cifar\"\nbatch-size = 64",
                "unknown variant `cifar`, expected one of `mnist-5k`, `mnist`",
            ),
            ("name = \"mnist\"\nbatch-size = 64\nrange = \"half\"", "half"),
        ] {
            let error = toml::from_str::<DataConfig>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let empty = DataConfig { batch_size: 0, ..config("mnist-5k", None) };
        assert_eq!(
            empty.validate().unwrap_err().to_string(),
            "data.batch-size: expected at least 1, found 0"
        );
        let missing = config("folder", None).load(Split::Train, 28, 1).unwrap_err().to_string();
        assert!(missing.contains("--data-dir") && missing.contains("data.dir"), "{missing}");
        for name in ["kmnist", "cifar-100", "folder"] {
            let missing = config(name, None).validate().unwrap_err().to_string();
            assert!(missing.contains(&format!("a directory for name = \"{name}\", found none")), "{missing}");
        }
        assert!(config("mnist-5k", Some(Path::new("data"))).validate().is_err());
        config("fashion-mnist", None).validate().unwrap();
    }

    #[test]
    fn a_directory_is_read_and_resized() {
        let dir = tempfile::tempdir().unwrap();
        for (prefix, count) in [("train", 3), ("t10k", 2)] {
            let images = IdxImages { count, rows: 28, cols: 28, pixels: vec![9; count * 784] };
            idx::write_images_gz(dir.path().join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
            idx::write_labels_gz(dir.path().join(format!("{prefix}-labels-idx1-ubyte.gz")), &vec![1; count])
                .unwrap();
        }
        for name in ["mnist", "fashion-mnist", "folder"] {
            let config = config(name, Some(dir.path()));
            for (split, count) in [(Split::Train, 3), (Split::Test, 2)] {
                let data = config.load(split, 32, 3).unwrap();
                assert_eq!((data.len(), data.channels(), data.size()), (count, 1, 32));
            }
        }
        let stacked = config("stacked-mnist", Some(dir.path()));
        for (split, count) in [(Split::Train, 128_000), (Split::Test, 26_000)] {
            let data = stacked.load(split, 32, 3).unwrap();
            assert_eq!((data.len(), data.channels(), data.size()), (count, 3, 32));
            assert_eq!((data.name(), data.image(count - 1).len()), ("stacked-mnist", 3 * 32 * 32));
        }
        let limited = DataConfig { limit: Some(100), ..stacked.clone() }.load(Split::Train, 28, 3).unwrap();
        let all = stacked.load(Split::Train, 28, 3).unwrap();
        assert_eq!((limited.len(), limited.image(99)), (100, all.image(128_000 / 100 * 99)));
        let error = stacked.load(Split::Train, 28, 1).unwrap_err().to_string();
        assert!(error.contains("expected 3") && error.contains("model.channels"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = config("folder", Some(empty.path())).load(Split::Test, 32, 1).unwrap_err().to_string();
        assert!(error.contains("no test split"), "{error}");
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn a_limit_takes_images_of_the_whole_data() {
        let limited = DataConfig { limit: Some(20), ..config("mnist-5k", None) };
        let data = limited.load(Split::Train, 28, 1).unwrap();
        // The digits are sorted by class, 500 of each.
        assert_eq!(data.class_counts(), Some(vec![2; 10]));
        let none = DataConfig { limit: Some(0), ..limited };
        assert_eq!(none.validate().unwrap_err().to_string(), "data.limit: expected at least 1, found 0");
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn embedded_digits_need_nothing() {
        let data = config("mnist-5k", None).load(Split::Train, 28, 1).unwrap();
        assert_eq!((data.len(), data.size()), (5000, 28));
        assert!(config("mnist-5k", None).load(Split::Test, 28, 1).is_err());
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn without_the_hub_the_error_names_the_ways_out() {
        let error = config("mnist", None).load(Split::Train, 28, 1).unwrap_err().to_string();
        for part in ["`hub`", "cargo install --path crates/gan-cli", "--data-dir", "mnist-5k"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
