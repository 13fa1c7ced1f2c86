//! Images as the metrics want them: real ones to judge by, generated ones to be judged.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use gan_data::{Batches, BatchesConfig, DataConfig, DataError, Dataset, LastBatch, Range, Source, Split};
use gan_metrics::{Classifier, Reference, Sample, classifier::Look};
use std::path::Path;

/// Images that pass through the classifier at once.
const CHUNK: usize = 256;

/// The digits' classifier, or that of `file`.
pub(crate) fn classifier(file: Option<&Path>) -> Result<Classifier> {
    Ok(match file {
        Some(file) => Classifier::load(file, &Device::Cpu)?,
        None => Classifier::mnist(&Device::Cpu)?,
    })
}

/// Whether images come with their pixels, without which nothing is said about memorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pixels {
    Kept,
    Dropped,
}

/// Real images, those that were trained on and some that were not.
#[derive(Debug)]
pub(crate) struct Real {
    train: Dataset,
    held_out: Dataset,
    channels: usize,
    /// Where the digits of three channels are worth counting.
    may_be_stacked: bool,
    /// What both are, in words.
    pub(crate) names: [String; 2],
}

impl Real {
    /// Data like those of `config`, all of them, with images of `channels` and `size`. Where there is no test split, every
    /// other image is held out of what is compared with, though it may have been trained on.
    pub(crate) fn load(config: &DataConfig, size: usize, channels: usize) -> Result<Self> {
        let config = DataConfig { limit: None, ..config.clone() };
        let train = config.load(Split::Train, size, channels)?;
        let (train, held_out, names) = match config.load(Split::Test, size, channels) {
            Ok(held_out) => (train, held_out, ["training split", "test split"].map(str::to_owned)),
            Err(DataError::NoSplit { .. } | DataError::MissingFile { .. }) => {
                let [even, odd] = train.halves();
                (even, odd, ["half of the training images", "the other half"].map(str::to_owned))
            }
            Err(error) => return Err(error.into()),
        };
        if train.channels() > channels {
            bail!("{} is RGB, the images to judge are gray", train.name());
        }
        let names = names.map(|name| format!("{} {name}", train.name()));
        let may_be_stacked = channels == 3 && config.name != Source::Folder;
        Ok(Self { train, held_out, channels, may_be_stacked, names })
    }

    /// Images that are not compared with.
    pub(crate) fn held_out_count(&self) -> usize {
        self.held_out.len()
    }

    /// Images that are compared with.
    pub(crate) fn train_count(&self) -> usize {
        self.train.len()
    }

    /// All that the metrics need of the real images.
    pub(crate) fn reference(self, classifier: &Classifier, pixels: Pixels) -> Result<Reference> {
        let (channels, stacked) = (self.channels, self.may_be_stacked);
        let [train, held_out] = [self.train, self.held_out].map(|data| {
            let config = BatchesConfig {
                batch_size: 1,
                seed: 0,
                range: Range::MinusOneOne,
                channels,
                keep_last: LastBatch::Keep,
            };
            let batches = Batches::new(data, config)?;
            let all = batches.spread(usize::MAX, CHUNK, &Device::Cpu).map(|images| anyhow::Ok(images?));
            sample(classifier, all, pixels, stacked)
        });
        Ok(Reference::new(train?, held_out?)?)
    }

    /// Whether generated images like these are to have their digits counted.
    pub(crate) fn may_be_stacked(&self) -> bool {
        self.may_be_stacked
    }
}

/// Images `[n, C, H, W]` in [-1, 1], chunk by chunk, as the classifier sees them.
pub(crate) fn sample(
    classifier: &Classifier,
    chunks: impl Iterator<Item = Result<Tensor>>,
    kept: Pixels,
    stacked: bool,
) -> Result<Sample> {
    let (mut features, mut probabilities, mut pixels) = (vec![], vec![], vec![]);
    for chunk in chunks {
        let look = classifier.look(&chunk?)?;
        let Look { features: f, probabilities: p, pixels: x } = look;
        features.push(f);
        probabilities.push(p);
        if kept == Pixels::Kept {
            pixels.push(x);
        }
    }
    let probabilities = Tensor::cat(&probabilities, 0)?;
    let mut sample = Sample::new(&Tensor::cat(&features, 0)?, &probabilities)?;
    if kept == Pixels::Kept {
        sample = sample.with_images(&Tensor::cat(&pixels, 0)?)?;
    }
    if stacked && classifier.record().classes == 10 {
        let digits: Vec<u8> = probabilities.argmax(1)?.to_vec1::<u32>()?.iter().map(|&d| d as u8).collect();
        sample = sample.with_digits(digits.as_chunks().0.to_vec())?;
    }
    Ok(sample)
}

/// Calls the distance by the data of its features, `mnist_fd`, so that nobody takes it for another.
pub(crate) fn name_distance(evaluation: &mut serde_json::Value, features: &str) {
    if let Some(fields) = evaluation.as_object_mut()
        && let Some(distance) = fields.remove("frechet_distance")
    {
        fields.insert(format!("{}_fd", features.replace('-', "_")), distance);
    }
}
