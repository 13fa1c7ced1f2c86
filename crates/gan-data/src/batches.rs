//! Shuffled batches. They depend only on seed and step, so a resumed run gets the same batches as
//! an uninterrupted one.

use std::sync::{Arc, Mutex, PoisonError};

use crate::dataset::check_channels;
use crate::{DataError, Dataset, Range, Result, rng};
use candle_core::{Device, Tensor};

/// Makes the shuffles independent of all other streams from the same seed.
const PURPOSE: u64 = u64::from_le_bytes(*b"shuffle\0");
/// The same for the choice of mirrored images.
const FLIP: u64 = u64::from_le_bytes(*b"flip\0\0\0\0");

/// How a data set is divided into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchesConfig {
    /// Number of images in a batch.
    pub batch_size: usize,
    /// Determines every shuffle.
    pub seed: u64,
    /// The range that pixels are mapped to.
    pub range: Range,
    /// Channels of a batch, 1 or 3. A gray image fills all three channels with the same values.
    pub channels: usize,
    /// What happens to an epoch's last images if they are too few for a batch.
    pub keep_last: LastBatch,
    /// Whether half of the images, chosen at random for each batch, are mirrored (left and right).
    pub flip: bool,
}

/// What happens to an epoch's last images if they are too few for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastBatch {
    /// They are left out of this epoch, so every batch is full.
    #[default]
    Drop,
    /// They are a smaller batch.
    Keep,
}

/// An endless sequence of batches. Each is addressed by its step.
#[derive(Debug)]
pub struct Batches {
    dataset: Arc<Dataset>,
    config: BatchesConfig,
    /// The permutation of the last requested epoch. Consecutive steps need no new shuffle. Another
    /// epoch needs one.
    epoch: Mutex<Option<(u64, Arc<[u32]>)>>,
}

impl Batches {
    /// Divides `dataset` into batches.
    ///
    /// # Errors
    ///
    /// If the batch size is zero or larger than the data set, or `channels` is neither 1 nor 3, or
    /// `channels` is 1 and the data are RGB.
    pub fn new(dataset: impl Into<Arc<Dataset>>, config: BatchesConfig) -> Result<Self> {
        let dataset = dataset.into();
        let wrong = |field, expected: String, found: usize| {
            Err(DataError::Value { field, expected, found: found.to_string() })
        };
        if u32::try_from(dataset.len()).is_err() {
            return wrong("dataset", "fewer than 2^32 images".to_owned(), dataset.len());
        }
        if !(1..=dataset.len()).contains(&config.batch_size) {
            let expected = format!("1..={} (the images in {})", dataset.len(), dataset.name());
            return wrong("data.batch-size", expected, config.batch_size);
        }
        check_channels("batch channels", config.channels)?;
        dataset.check_fits("batch channels", config.channels)?;
        Ok(Self { dataset, config, epoch: Mutex::new(None) })
    }

    /// The images that batches are taken from.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Number of batches in an epoch, at least 1.
    #[must_use]
    pub fn batches_per_epoch(&self) -> u64 {
        let count = match self.config.keep_last {
            LastBatch::Drop => self.dataset.len() / self.config.batch_size,
            LastBatch::Keep => self.dataset.len().div_ceil(self.config.batch_size),
        };
        count as u64
    }

    /// The epoch of `step`, counted from 0.
    #[must_use]
    pub fn epoch_of(&self, step: u64) -> u64 {
        step / self.batches_per_epoch()
    }

    /// The indices of the images in the batch of `step`, a pure function of seed and step. Each
    /// epoch is a new permutation of the data, so no image occurs twice in an epoch.
    #[must_use]
    pub fn indices(&self, step: u64) -> Vec<u32> {
        let permutation = self.permutation(self.epoch_of(step));
        let start = (step % self.batches_per_epoch()) as usize * self.config.batch_size;
        let end = (start + self.config.batch_size).min(permutation.len());
        permutation[start..end].to_vec()
    }

    /// The classes of the images in the batch of `step`, if they are known.
    #[must_use]
    pub fn labels(&self, step: u64) -> Option<Vec<u16>> {
        let labels = self.dataset.labels()?;
        Some(self.indices(step).into_iter().map(|index| labels[index as usize]).collect())
    }

    /// Which images of the batch of `step` are mirrored, a pure function of seed and step. `None` if
    /// none are.
    fn mirrored(&self, step: u64, images: usize) -> Option<Vec<bool>> {
        let mut rng = rng::stream(self.config.seed, FLIP, step);
        self.config.flip.then(|| (0..images).map(|_| rng::below(2, &mut rng) == 1).collect())
    }

    /// The batch of `step`: f32 `[B, channels, size, size]` in the configured range.
    ///
    /// # Errors
    ///
    /// If the tensor cannot be created on the device.
    pub fn batch(&self, step: u64, device: &Device) -> Result<Tensor> {
        self.rows(step, 0..self.config.batch_size, device)
    }

    /// These images of the batch of `step`, in the form of [`batch`](Self::batch). The range ends with the
    /// batch, if not before.
    ///
    /// # Errors
    ///
    /// If the tensor cannot be created on the device.
    pub fn rows(&self, step: u64, rows: std::ops::Range<usize>, device: &Device) -> Result<Tensor> {
        let (BatchesConfig { channels, range, .. }, all) = (self.config, self.indices(step));
        let rows = rows.start.min(all.len())..rows.end.min(all.len());
        let indices = &all[rows.clone()];
        match self.mirrored(step, all.len()) {
            Some(all) => self.dataset.mirrored_tensor(indices, &all[rows], channels, range, device),
            None => self.dataset.tensor(indices, channels, range, device),
        }
    }

    /// `count` evenly spaced images in the order of the data, or all if there are fewer. They come
    /// `chunk` at a time, in the form of [`batch`](Self::batch). An item is an error if the tensor
    /// cannot be created on the device.
    pub fn spread(
        &self,
        count: usize,
        chunk: usize,
        device: &Device,
    ) -> impl Iterator<Item = Result<Tensor>> {
        let BatchesConfig { channels, range, .. } = self.config;
        self.dataset.tensors(count, chunk, channels, range, device)
    }

    fn permutation(&self, epoch: u64) -> Arc<[u32]> {
        // A poisoned lock is no problem here, because the pair is only ever replaced as a whole.
        let mut cached = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((number, permutation)) if *number == epoch => Arc::clone(permutation),
            _ => {
                let permutation: Arc<[u32]> =
                    shuffled(self.dataset.len() as u32, self.config.seed, epoch).into();
                *cached = Some((epoch, Arc::clone(&permutation)));
                permutation
            }
        }
    }
}

/// A permutation of the numbers below `count` that depends on (seed, epoch). It is a Fisher-Yates
/// shuffle with its own `ChaCha8` stream.
fn shuffled(count: u32, seed: u64, epoch: u64) -> Vec<u32> {
    let mut rng = rng::stream(seed, PURPOSE, epoch);
    let mut indices: Vec<u32> = (0..count).collect();
    for last in (1..count).rev() {
        indices.swap(last as usize, rng::below(last + 1, &mut rng) as usize);
    }
    indices
}

#[cfg(test)]
mod tests;
