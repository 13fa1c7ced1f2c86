//! Images as the metrics want them: real ones to judge by, generated ones to be judged.

use crate::config::Config;
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::{DataConfig, DataError, Dataset, Range, Source, Split};
use gan_metrics::classifier::{CHUNK, Look, SIDE, at_side};
use gan_metrics::{Classifier, Reference, Sample, TrainingImages};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Side of the largest images that real ones are enlarged to before the classifier reduces all of them: to judge a program's
/// 512x512 images must not take the memory of 60,000 real ones as large.
const LARGEST: usize = 64;

/// Stacks of digits that are compared with at most, and that copies are sought among: with all 128,000 this takes minutes and
/// gigabytes.
const STACKS: usize = 50_000;
/// Stacks that are compared with, for each that is judged: there is no end of them, and few are to be judged fast.
const STACKS_FOR_EACH: usize = 2;

/// The classifier for data of that name, or that of `file`.
pub(crate) fn classifier(file: Option<&Path>, data: &str) -> Result<Classifier> {
    Ok(match file {
        Some(file) => Classifier::load(file, &Device::Cpu)?,
        None => Classifier::of(data, &Device::Cpu)?,
    })
}

/// A classifier, and the real images as it sees them.
#[derive(Debug)]
pub(crate) struct Judges {
    pub(crate) classifier: Classifier,
    pub(crate) reference: Reference,
    /// Of the images to be judged.
    pub(crate) modes: Modes,
    /// Whether the classifier's classes are the data's.
    pub(crate) tells_classes: bool,
    /// Images to draw, as many as real ones are held out or fewer.
    pub(crate) count: usize,
}

impl Judges {
    /// Those that a configuration wants during training. Copies of training images are for the command `evaluate`: looking
    /// for them takes as long as all the rest.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>> {
        let Some(evaluate) = &config.reporting.evaluate else { return Ok(None) };
        let start = Instant::now();
        let real = Real::load(&config.data, config.model.image_size, config.model.channels)?;
        let classifier = classifier(evaluate.features.as_deref(), real.data())?;
        let count = evaluate.count.min(real.held_out_count());
        if count < evaluate.count {
            tracing::warn!("train.evaluate.count: {} images, as real ones are held out", count);
        }
        let real = real.for_judging(count);
        let reference = real.reference(&classifier, Pixels::Dropped)?;
        let (name, seconds) = (&real.names.reference, start.elapsed().as_secs_f64());
        let (data, floor) = (&classifier.record().data, reference.floor(count)?.frechet_distance);
        tracing::info!(
            "will compare {count} images with {name}: real ones have {data}-fd {floor:.2} ({seconds:.1} s to prepare)"
        );
        if !classifier.knows(real.data()) {
            warn_of_features(data);
        }
        let modes = real.modes(&classifier);
        let tells_classes = classifier.knows(real.data());
        Ok(Some(Self { classifier, reference, modes, tells_classes, count }))
    }
}

/// Says that a classifier learned on other data.
pub(crate) fn warn_of_features(data: &str) {
    tracing::warn!(
        "the features were learned on {data}: on other images they say little (a classifier of your own: \
         cargo xtask train-classifier)"
    );
}

/// Whether images come with their pixels, without which nothing is said about memorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pixels {
    Kept,
    Dropped,
}

/// Whether the channels of an image are digits each, so that there are modes to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modes {
    Counted,
    None,
}

/// Real images.
#[derive(Debug)]
pub(crate) struct Real {
    /// What was trained on.
    trained: Arc<Dataset>,
    /// What generated images are compared with.
    reference: Arc<Dataset>,
    /// What is judged beside them.
    held_out: Dataset,
    source: Source,
    channels: usize,
    /// What the last two are, in words.
    pub(crate) names: Names,
}

/// Names of real images.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) reference: String,
    pub(crate) held_out: String,
}

impl Real {
    /// Data like those of `config`, to judge images of `channels` and `size`. All of them, whatever the limit, are compared
    /// with, but of stacked digits a part. Where there is no test split, every other image is held out of that, though it
    /// may have been trained on.
    pub(crate) fn load(config: &DataConfig, size: usize, channels: usize) -> Result<Self> {
        let size = if size > LARGEST { SIDE } else { size };
        let most = if config.name == Source::StackedMnist { STACKS } else { usize::MAX };
        let read = |config: &DataConfig, split| Ok(config.load(split, size, channels)?.spread(most));
        let all = DataConfig { limit: None, ..config.clone() };
        let reference = Arc::new(read(&all, Split::Train)?);
        let trained = match config.limit {
            Some(_) => Arc::new(read(config, Split::Train)?),
            None => Arc::clone(&reference),
        };
        let (reference, held_out, names) = match read(&all, Split::Test) {
            Ok(held_out) => (reference, held_out, ["training split", "test split"]),
            Err(error @ (DataError::NoSplit { .. } | DataError::MissingFile { .. })) => {
                if matches!(error, DataError::MissingFile { .. }) {
                    tracing::warn!("no test split ({error}): comparing with one half of the training images");
                }
                let [even, odd] = reference.halves();
                (Arc::new(even), odd, ["half of the training images", "the other half"])
            }
            Err(error) => return Err(error.into()),
        };
        let [compared, beside] = names.map(|name| format!("{} {name}", reference.name()));
        let names = Names { reference: compared, held_out: beside };
        Ok(Self { trained, reference, held_out, source: config.name, channels, names })
    }

    /// What is needed to judge `count` images. Of stacked digits this is fewer: any are as good as any others.
    pub(crate) fn for_judging(self, count: usize) -> Self {
        if self.source != Source::StackedMnist {
            return self;
        }
        let reference = Arc::new(Arc::unwrap_or_clone(self.reference).spread(STACKS_FOR_EACH * count));
        Self { reference, held_out: self.held_out.spread(count), ..self }
    }

    /// Name of the data.
    pub(crate) fn data(&self) -> &str {
        self.reference.name()
    }

    /// Images that are not compared with.
    pub(crate) fn held_out_count(&self) -> usize {
        self.held_out.len()
    }

    /// Images that copies are sought among.
    pub(crate) fn trained_count(&self) -> usize {
        self.trained.len()
    }

    /// Images that are compared with.
    pub(crate) fn reference_count(&self) -> usize {
        self.reference.len()
    }

    /// Whether there are modes, and a classifier that tells them apart.
    pub(crate) fn modes(&self, classifier: &Classifier) -> Modes {
        let is_stacked = self.source == Source::StackedMnist && classifier.record().classes == 10;
        if is_stacked { Modes::Counted } else { Modes::None }
    }

    /// All that the metrics need of the real images.
    pub(crate) fn reference(&self, classifier: &Classifier, pixels: Pixels) -> Result<Reference> {
        let look = |data| sample(classifier, self.chunks(data), Pixels::Dropped, self.modes(classifier));
        let held_out = look(&self.held_out)?;
        let held_out = match self.held_out.labels().filter(|_| classifier.knows(self.data())) {
            Some(labels) => held_out.with_labels(labels.to_vec())?,
            None => held_out,
        };
        let reference = Reference::new(look(&self.reference)?, held_out)?;
        if pixels == Pixels::Dropped {
            return Ok(reference);
        }
        let reduced = |data| -> Result<Tensor> {
            let chunks: Result<Vec<_>> = self.chunks(data).map(|chunk| Ok(at_side(&chunk?)?)).collect();
            Ok(Tensor::cat(&chunks?, 0)?)
        };
        let images = TrainingImages::new(&reduced(&self.trained)?, &reduced(&self.held_out)?)?;
        Ok(reference.with_training_images(images))
    }

    fn chunks<'a>(&self, data: &'a Dataset) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        let chunks = data.tensors(usize::MAX, CHUNK, self.channels, Range::MinusOneOne, &Device::Cpu);
        chunks.map(|images| Ok(images?))
    }
}

/// Images `[n, C, H, W]` in [-1, 1], chunk by chunk, as the classifier sees them.
pub(crate) fn sample(
    classifier: &Classifier,
    chunks: impl Iterator<Item = Result<Tensor>>,
    kept: Pixels,
    modes: Modes,
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
    let sample = Sample::new(&Tensor::cat(&features, 0)?, &Tensor::cat(&probabilities, 0)?)?;
    let sample = match modes {
        Modes::Counted => sample.with_seen_digits()?,
        Modes::None => sample,
    };
    Ok(match kept {
        Pixels::Kept => sample.with_images(&Tensor::cat(&pixels, 0)?)?,
        Pixels::Dropped => sample,
    })
}

/// Calls the distance by the data of its features, `mnist_fd`, so that nobody takes it for another.
pub(crate) fn name_distance(evaluation: &mut serde_json::Value, features: &str) {
    if let Some(fields) = evaluation.as_object_mut()
        && let Some(distance) = fields.remove("frechet_distance")
    {
        fields.insert(format!("{}_fd", features.replace('-', "_")), distance);
    }
}
