//! Shuffled batches that depend on seed and step alone, so that a resumed run sees what an unbroken one would.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::dataset::check_channels;
use crate::{DataError, Dataset, Range, Result, normalize};

/// Keeps the shuffles apart from every other stream drawn from the same seed.
const PURPOSE: u64 = u64::from_le_bytes(*b"shuffle\0");

/// How to cut a data set into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchesConfig {
    /// Images in a batch.
    pub batch_size: usize,
    /// Decides every shuffle.
    pub seed: u64,
    /// What pixels are mapped to.
    pub range: Range,
    /// Channels of a batch, 1 or 3; gray images fill three channels alike.
    pub channels: usize,
    /// What becomes of an epoch's last images when they are too few for a batch.
    pub keep_last: LastBatch,
}

/// What becomes of an epoch's last images when they are too few for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastBatch {
    /// They are left out of this epoch: every batch is full.
    #[default]
    Drop,
    /// They are a smaller batch.
    Keep,
}

/// An endless sequence of batches, addressed by step.
#[derive(Debug)]
pub struct Batches {
    dataset: Arc<Dataset>,
    config: BatchesConfig,
    /// The last epoch asked for and its permutation: going on costs nothing, seeking costs one shuffle.
    epoch: Mutex<Option<(u64, Arc<[u32]>)>>,
}

impl Batches {
    /// Cuts `dataset` into batches.
    ///
    /// # Errors
    ///
    /// If the batch size is zero or larger than the data, `channels` is neither 1 nor 3, or is 1 where the data
    /// are RGB.
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
        if config.channels < dataset.channels() {
            return wrong("batch channels", "3, as the data are RGB".to_owned(), config.channels);
        }
        Ok(Self { dataset, config, epoch: Mutex::new(None) })
    }

    /// The images that batches are made of.
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

    /// The epoch that `step` is in, from 0.
    #[must_use]
    pub fn epoch_of(&self, step: u64) -> u64 {
        step / self.batches_per_epoch()
    }

    /// The images in the batch of `step`, by index: a pure function of seed and step. Each epoch is a new
    /// permutation of the data, so no image occurs twice in one.
    #[must_use]
    pub fn indices(&self, step: u64) -> Vec<u32> {
        let permutation = self.permutation(self.epoch_of(step));
        let start = (step % self.batches_per_epoch()) as usize * self.config.batch_size;
        let end = (start + self.config.batch_size).min(permutation.len());
        permutation[start..end].to_vec()
    }

    /// The batch of `step`: f32 `[B, channels, size, size]` in the configured range.
    ///
    /// # Errors
    ///
    /// If the device refuses.
    pub fn batch(&self, step: u64, device: &Device) -> Result<Tensor> {
        let indices = self.indices(step);
        let size = self.dataset.size();
        let copies = self.config.channels / self.dataset.channels();
        let mut pixels = Vec::with_capacity(indices.len() * self.config.channels * size * size);
        for &index in &indices {
            for _ in 0..copies {
                pixels.extend_from_slice(self.dataset.image(index as usize));
            }
        }
        let shape = (indices.len(), self.config.channels, size, size);
        normalize::to_tensor(&pixels, shape, self.config.range, device)
    }

    /// The batches from `step` on, without end, each with its step. An item is an error where
    /// [`batch`](Self::batch) is.
    pub fn iter_from(&self, step: u64, device: &Device) -> impl Iterator<Item = Result<(u64, Tensor)>> {
        (step..).map(move |step| Ok((step, self.batch(step, device)?)))
    }

    fn permutation(&self, epoch: u64) -> Arc<[u32]> {
        // A poisoned lock guards nothing broken: the pair is replaced whole.
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

/// The numbers below `count` in an order of (seed, epoch): Fisher-Yates over a `ChaCha8` stream of their own.
fn shuffled(count: u32, seed: u64, epoch: u64) -> Vec<u32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&PURPOSE.to_le_bytes());
    key[16..24].copy_from_slice(&epoch.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    let mut indices: Vec<u32> = (0..count).collect();
    for last in (1..count).rev() {
        indices.swap(last as usize, below(last + 1, &mut rng) as usize);
    }
    indices
}

/// A uniform number below `bound` (Lemire, arXiv 1805.10941, algorithm 5).
///
/// Written out because `rand` may change the values of its ranges and shuffles between versions, and a run must
/// resume with the order it began with; the `ChaCha` stream itself is fixed.
fn below(bound: u32, rng: &mut ChaCha8Rng) -> u32 {
    // 2^32 mod bound: products whose low half is under it would favour some results.
    let biased = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= biased {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(count: usize, channels: usize) -> Dataset {
        let pixels = (0..count).flat_map(|image| (0..channels * 4).map(move |n| (image + n) as u8));
        Dataset::new("test", "nowhere", pixels.collect(), channels, 2, None).unwrap()
    }

    fn config(batch_size: usize) -> BatchesConfig {
        let keep_last = LastBatch::Drop;
        BatchesConfig { batch_size, seed: 7, range: Range::MinusOneOne, channels: 1, keep_last }
    }

    fn batches(count: usize, config: BatchesConfig) -> Batches {
        Batches::new(dataset(count, 1), config).unwrap()
    }

    #[test]
    fn seeking_is_stepping() {
        let (one, other) = (batches(103, config(10)), batches(103, config(10)));
        let sequence: Vec<_> = (0..45).map(|step| one.indices(step)).collect();
        for step in [44, 0, 13, 13, 9, 10, 30] {
            assert_eq!(other.indices(step), sequence[step as usize], "step {step}");
        }
        let seed = batches(103, BatchesConfig { seed: 8, ..config(10) });
        assert_ne!(seed.indices(0), sequence[0]);
    }

    #[test]
    fn an_epoch_has_every_image_once() {
        for (count, keep_last, expected) in [
            (103, LastBatch::Keep, (11, 3, 103)),
            (103, LastBatch::Drop, (10, 10, 100)),
            (60, LastBatch::Keep, (6, 10, 60)),
            (60, LastBatch::Drop, (6, 10, 60)),
            (10, LastBatch::Drop, (1, 10, 10)),
        ] {
            let batches = batches(count, BatchesConfig { keep_last, ..config(10) });
            let steps = batches.batches_per_epoch();
            for epoch in 0..3 {
                let parts: Vec<_> =
                    (epoch * steps..(epoch + 1) * steps).map(|step| batches.indices(step)).collect();
                let mut all = parts.concat();
                all.sort_unstable();
                all.dedup();
                assert_eq!((steps, parts[parts.len() - 1].len(), all.len()), expected);
                assert!(all.iter().all(|&index| (index as usize) < count));
                assert_eq!(
                    (batches.epoch_of(epoch * steps), batches.epoch_of((epoch + 1) * steps - 1)),
                    (epoch, epoch)
                );
            }
        }
    }

    #[test]
    fn epochs_differ() {
        let batches = batches(50, config(50));
        assert_ne!(batches.indices(0), batches.indices(1));
    }

    /// Resumed runs rely on these numbers: they must hold on every platform and after every update.
    /// They were checked against a second implementation, stream included.
    #[test]
    fn the_order_is_pinned() {
        assert_eq!(shuffled(60_000, 42, 0)[..6], [35_722, 40_360, 55_070, 35_895, 40_697, 23_640]);
        assert_eq!(shuffled(60_000, 42, 3)[..6], [20_725, 49_128, 37_403, 22_592, 28_142, 16_131]);
    }

    #[test]
    fn bounded_numbers_are_uniform() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[below(7, &mut rng) as usize] += 1;
        }
        // Five standard deviations of a binomial with n = 70000, p = 1/7.
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 463), "{counts:?}");
        assert_eq!(below(1, &mut rng), 0);
    }

    #[test]
    fn batches_hold_the_images_of_their_indices() {
        let gray = batches(9, config(4));
        let (step, batch) = gray.iter_from(5, &Device::Cpu).next().unwrap().unwrap();
        assert_eq!((step, batch.dims()), (5, &[4, 1, 2, 2][..]));
        let expected: Vec<u8> =
            gray.indices(5).iter().flat_map(|&index| gray.dataset().image(index as usize).to_vec()).collect();
        assert_eq!(normalize::from_tensor(&batch).unwrap(), expected);

        let tripled = batches(9, BatchesConfig { channels: 3, ..config(4) }).batch(5, &Device::Cpu).unwrap();
        assert_eq!(tripled.dims(), [4, 3, 2, 2]);
        for channel in 0..3 {
            let one = tripled.narrow(1, channel, 1).unwrap();
            assert_eq!(normalize::from_tensor(&one).unwrap(), expected);
        }
    }

    #[test]
    fn impossible_batches_are_refused() {
        for (channels, config, part) in [
            (1, config(0), "data.batch-size: expected 1..=9 (the images in test), found 0"),
            (1, config(10), "data.batch-size: expected 1..=9 (the images in test), found 10"),
            (3, config(4), "batch channels: expected 3, as the data are RGB, found 1"),
            (
                1,
                BatchesConfig { channels: 2, ..config(4) },
                "batch channels: expected 1 (gray) or 3 (RGB), found 2",
            ),
        ] {
            assert_eq!(Batches::new(dataset(9, channels), config).unwrap_err().to_string(), part);
        }
    }
}
