//! The real images of an evaluation: those that generated images are compared with, those that are
//! held out, and those that the run was trained on.

use super::{Channels, Pixels, knows, sample};
use crate::config::{Config, check_size};
use crate::origin;
use crate::terminal;
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::folder::{Background, Crop, Transform};
use gan_data::{DataConfig, DataError, Dataset, Range, Source, Split};
use gan_metrics::classifier::{CHUNK, Record, SIDE, at_side};
use gan_metrics::inception;
use gan_metrics::{Classifier, Features, Reference, TrainingImages};

use std::path::Path;
use std::sync::Arc;

/// Largest side to which real images are enlarged before the classifier reduces them. Without this
/// limit, an evaluation of 512x512 images would need the memory for 60,000 real images of that
/// size.
const LARGEST: usize = 64;

/// Largest side at which pictures are compared. Larger ones are reduced to it.
const LARGEST_PICTURE: usize = 128;

/// The real images of an evaluation.
#[derive(Debug)]
pub(crate) struct Real {
    /// The images that the run was trained on.
    trained: Arc<Dataset>,
    /// The images that generated images are compared with.
    reference: Arc<Dataset>,
    /// Real images that are evaluated in the same way as the generated ones. They give the floor.
    held_out: Dataset,
    /// Whether the run may have been trained on the held-out images too.
    pub(crate) may_be_trained_on: bool,
    /// Whether the run saw mirrored images too.
    is_flipped: bool,
    source: Source,
    channels: usize,
    /// Names of `reference` and `held_out` for messages.
    pub(crate) names: Names,
}

/// The side of the real images, if the generated ones have this side. The features resize both.
fn compared_size(features: &Features, size: usize) -> usize {
    match features {
        Features::Classifier(classifier) => match (classifier.record().channels, classifier.record().size) {
            (1, SIDE) if size > LARGEST => SIDE,
            _ => size.min(LARGEST_PICTURE),
        },
        Features::Random(_) => size.min(LARGEST_PICTURE),
        Features::Inception(_) => size.min(inception::SIDE),
    }
}

/// Why real images are not there.
enum Unread {
    Data(DataError),
    Other(anyhow::Error),
}

impl From<Unread> for anyhow::Error {
    fn from(error: Unread) -> Self {
        match error {
            Unread::Data(error) => error.into(),
            Unread::Other(error) => error,
        }
    }
}

/// Names of sets of real images.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) reference: String,
    pub(crate) held_out: String,
}

impl Real {
    /// Loads the data of `config`, to evaluate images of `channels` and `size`. The comparison uses
    /// all images and ignores `data.limit`, but only a part of a composed data set. The images that
    /// `data.hold-out` keeps from training are the test split. Without a test split, every second
    /// image of the comparison set is held out. The run may have been trained on these images.
    pub(crate) fn load(
        config: &DataConfig,
        size: usize,
        channels: usize,
        features: &Features,
    ) -> Result<Self> {
        let wanted = size;
        let size = compared_size(features, size);
        let most = config.name.composed().map_or(usize::MAX, |composed| composed.compared);
        let read = |config: &DataConfig, split| {
            let data = config.load(split, size, channels).map_err(Unread::Data)?;
            check_size(wanted, &data).map_err(Unread::Other)?;
            Ok(data.spread(most))
        };
        let all = DataConfig { limit: None, ..config.clone() };
        let reference = Arc::new(read(&all, Split::Train)?);
        let trained = match config.limit {
            Some(_) => Arc::new(read(config, Split::Train)?),
            None => Arc::clone(&reference),
        };
        let mut may_be_trained_on = false;
        let (reference, held_out, names) = match read(&all, Split::Test) {
            Ok(held_out) if config.hold_out.is_some() => {
                (reference, held_out, ["training images", "held-out images"])
            }
            Ok(held_out) => (reference, held_out, ["training split", "test split"]),
            Err(Unread::Data(error @ (DataError::NoSplit { .. } | DataError::MissingFile { .. }))) => {
                if let DataError::MissingFile { dir, tried, .. } = error {
                    tracing::warn!(
                        "no test split ({}: none of {}): comparing with one half of the training images",
                        dir.display(),
                        tried.join(", ")
                    );
                }
                may_be_trained_on = true;
                let [even, odd] = reference.halves();
                (Arc::new(even), odd, ["half of the training images", "the other half"])
            }
            Err(error) => return Err(error.into()),
        };
        let [compared, beside] = names.map(|name| format!("{} {name}", reference.name()));
        let names = Names { reference: compared, held_out: beside };
        let (source, is_flipped) = (config.name, config.flip);
        let real =
            Self { trained, reference, held_out, may_be_trained_on, is_flipped, source, channels, names };
        real.warn_of_strange_classifier(features, config.hold_out);
        Ok(real)
    }

    /// Warns if the classifier has learned nothing, or knows other classes, which do not serve then. Also
    /// warns if it may have been trained on the held-out images, or saw the pictures in another way.
    fn warn_of_strange_classifier(&self, features: &Features, hold_out: Option<f64>) {
        let Some(record) = features.classifier().map(Classifier::record) else { return };
        if record.is_at_chance() {
            tracing::warn!(
                "the classifier is right no more often ({:.0}%) than somebody who always names the largest class: its \
                 features mean nothing",
                record.test_accuracy * 100.
            );
        }
        if record.data == self.source.name
            && let Some(transform) = self.reference.transform()
        {
            warn_of_other_look(record, transform);
        }
        if !self.is_known_to(features) {
            tracing::warn!("{}: no accuracy is computed", self.other_classes(record));
        } else if let (Some(own), Some(other)) = (hold_out, record.hold_out)
            && own.to_bits() != other.to_bits()
        {
            tracing::warn!(
                "the classifier was trained with --hold-out {other}, and data.hold-out is {own}: it may have \
                 seen the held-out images, so its accuracy on them is no floor"
            );
        }
    }

    /// What the classifier knows, and what the data have.
    fn other_classes(&self, record: &Record) -> String {
        let listed = |names: &[String]| format!("the classes {}", terminal::escaped(&names.join(", "), &[]));
        let theirs = match &record.class_names[..] {
            [] => format!("the {} classes of {}", record.classes, record.data),
            names => listed(names),
        };
        let own = match (self.source.is_folder(), self.reference.class_names()) {
            (false, _) => format!("those of {}", self.source),
            (true, []) => "no classes".to_owned(),
            (true, names) => listed(names),
        };
        format!("the classifier knows {theirs}, and the data have {own}")
    }

    /// Warns if these are not the images that the run with this configuration was trained on.
    /// `checkpoint` is its newest one.
    /// `on_purpose`: whether the user chose the data for this evaluation.
    pub(crate) fn warn_of_other_data(&self, run: &Config, checkpoint: &Path, on_purpose: bool) {
        // Images of another size have another fingerprint, and composed ones are compared in part.
        let is_as_trained =
            self.trained.size() == run.model.image_size && self.channels == run.model.channels;
        if !is_as_trained || self.source.composed().is_some() {
            return;
        }
        if let Some(then) = origin::other_data(checkpoint, &self.trained) {
            let source = self.trained.source();
            if on_purpose {
                tracing::info!(
                    "these images differ from those of the run, in their number, their pixels, or by another crop or \
                     background: {source}"
                );
                return;
            }
            tracing::warn!(
                "the run was trained on {then}, and there are other data now ({source}), or another crop or \
                 background: it is compared with images that it may have never seen"
            );
        }
    }

    /// Reduces a composed data set to the number of images that an evaluation of `count` images
    /// needs. Any of its images serve equally well. Other data stay as they are.
    pub(crate) fn for_judging(self, count: usize) -> Self {
        let Some(composed) = self.source.composed() else { return self };
        let compared = composed.compared_for_each * count;
        let reference = Arc::new(Arc::unwrap_or_clone(self.reference).spread(compared));
        Self { reference, held_out: self.held_out.spread(count), ..self }
    }

    /// Name of the data.
    pub(crate) fn data(&self) -> &str {
        self.reference.name()
    }

    /// Number of pictures whose transparent parts are black now.
    pub(crate) fn blackened(&self) -> usize {
        self.trained.blackened()
    }

    /// Number of held-out images.
    pub(crate) fn held_out_count(&self) -> usize {
        self.held_out.len()
    }

    /// Number of images among which copies are searched for.
    pub(crate) fn trained_count(&self) -> usize {
        self.trained.len()
    }

    /// Number of images that generated images are compared with.
    pub(crate) fn reference_count(&self) -> usize {
        self.reference.len()
    }

    /// Whether there is a classifier that was trained on these data, so that its classes are the data's
    /// classes. Folders can hold anything, so those of a folder must have the same names.
    pub(crate) fn is_known_to(&self, features: &Features) -> bool {
        let Some(record) = features.classifier().map(Classifier::record) else { return false };
        if !self.source.is_folder() {
            return knows(&record.data, self.source);
        }
        record.data == self.source.name
            && self.class_count() == Some(record.classes)
            && self.reference.class_names() == record.class_names
    }

    /// Number of the data's classes, if they have any.
    pub(crate) fn class_count(&self) -> Option<usize> {
        self.reference.class_counts().map(|counts| counts.len())
    }

    /// Number of images of each class, among those to compare with.
    pub(crate) fn class_counts(&self) -> Vec<u64> {
        let counts = self.reference.class_counts().unwrap_or_default();
        counts.into_iter().map(|count| count as u64).collect()
    }

    /// Names of the classes, in the order of their numbers.
    pub(crate) fn class_names(&self) -> &[String] {
        self.reference.class_names()
    }

    /// What the channels are for these features. They are digits only if there is a classifier that
    /// can tell digits apart.
    pub(crate) fn channels_hold(&self, features: &Features) -> Channels {
        let classes = self.source.composed().and_then(|composed| composed.of.classes());
        let known = features.classifier().map(|classifier| classifier.record().classes);
        if classes.is_some() && classes == known { Channels::Digits } else { Channels::Colours }
    }

    /// All that the metrics need from the real images.
    pub(crate) fn reference(&self, features: &Features, pixels: Pixels) -> Result<Reference> {
        let look = |data| sample(features, self.chunks(data), Pixels::Dropped, self.channels_hold(features));
        let held_out = look(&self.held_out)?;
        let held_out = match self.held_out.labels().filter(|_| self.is_known_to(features)) {
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
        let trained = reduced(&self.trained)?.contiguous()?;
        // The run saw mirrored images too, so a mirrored copy is a copy.
        let trained =
            if self.is_flipped { Tensor::cat(&[&trained, &trained.flip(&[3])?], 0)? } else { trained };
        let images = TrainingImages::new(&trained, &reduced(&self.held_out)?)?;
        Ok(reference.with_training_images(images))
    }

    fn chunks<'a>(&self, data: &'a Dataset) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        let chunks = data.tensors(usize::MAX, CHUNK, self.channels, Range::MinusOneOne, &Device::Cpu);
        chunks.map(|images| Ok(images?))
    }
}

/// Warns if the pictures were cut, or put on a background, in another way for the classifier.
fn warn_of_other_look(record: &Record, Transform { crop, background }: Transform) {
    let pairs = [
        ("crop", &record.crop, Crop::default().to_string(), crop.to_string()),
        (
            "background",
            &record.background,
            Background::default().to_string(),
            background.unwrap_or_default().to_string(),
        ),
    ];
    for (key, trained, default, own) in pairs {
        let trained = trained.clone().unwrap_or(default);
        if trained != own {
            tracing::warn!(
                "the classifier was trained with the {key} {trained}, and the data have {own}: it does not see \
                 the pictures as it learned them"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If the real images were smaller than a classifier reads them, only they would be blurred.
    #[test]
    fn real_images_are_not_reduced_below_what_the_features_read() {
        let digits = Classifier::mnist(&Device::Cpu).unwrap();
        let of = |channels, size| {
            let record = Record { channels, size, ..digits.record().clone() };
            Features::Classifier(Box::new(Classifier::new(record, &Device::Cpu).unwrap()))
        };
        for (channels, reads) in [(1, 64), (1, 128), (3, 64), (3, 128)] {
            assert_eq!(compared_size(&of(channels, reads), 128), 128, "{channels} {reads}");
        }
        assert_eq!([32, 64, 128].map(|size| compared_size(&of(1, SIDE), size)), [32, 64, SIDE]);
        assert_eq!(compared_size(&of(3, 64), 512), LARGEST_PICTURE);
    }
}
