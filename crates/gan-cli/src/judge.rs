//! Prepares images for the metrics: the real images, and the generated images that are compared
//! with them.

use crate::config::{Config, check_size};
use crate::exit::usage;
use crate::run::Plan;
use crate::terminal::counted;
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::{DataConfig, DataError, Dataset, Range, Source, Split};
use gan_metrics::classifier::{CHUNK, SIDE, at_side};
use gan_metrics::inception::{self, Inception, Preprocessing};
use gan_metrics::{Classifier, Evaluation, Features, Look, RandomNetwork, Reference, Sample, TrainingImages};
use gan_train::{TrainError, checkpoint};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Largest side to which real images are enlarged before the classifier reduces them. Without this
/// limit, an evaluation of 512x512 images would need the memory for 60,000 real images of that
/// size.
const LARGEST: usize = 64;

/// Largest side at which pictures are compared. Larger ones are reduced to it.
const LARGEST_PICTURE: usize = 128;

/// The value of `--features` and `train.evaluate.features` that chooses the random network.
const RANDOM: &str = RandomNetwork::NAME;
/// The value of `--features` that chooses the Inception network.
const INCEPTION: &str = Inception::NAME;
const NEEDS_WEIGHTS: &str = "the features inception need `evaluate --features inception --weights FILE`, \
                             FILE being pytorch-fid's pt_inception-2015-12-05-6726825d.pth";

/// A classifier that was right on more than this share of its own held-out images is right on most
/// images of the same data set.
const RELIABLE: f64 = 0.9;

/// If a reliable classifier is right on less than this share of the real images, they are probably
/// not what their name says.
const DOUBTFUL: f64 = 0.8;

/// The chosen features, or those for this data set: its classifier inside the program, or the random
/// network if there is none. A choice that is no known name is the file of a classifier. `weights` is
/// the file of the Inception network.
pub(crate) fn features(choice: Option<&Path>, weights: Option<&Path>, data: Source) -> Result<Features> {
    let device = Device::Cpu;
    match (choice == Some(Path::new(INCEPTION)), weights) {
        (true, Some(weights)) => {
            let network = Inception::load(weights, Preprocessing::PytorchFid, &device)?;
            return Ok(Features::Inception(Arc::new(network)));
        }
        (true, None) => return Err(usage(NEEDS_WEIGHTS)),
        (false, Some(_)) => return Err(usage("--weights: expected --features inception with it")),
        (false, None) => {}
    }
    if is_random(choice, data) {
        return Ok(Features::Random(RandomNetwork::new(&device)?));
    }
    Ok(Features::Classifier(Box::new(match choice {
        Some(file) => Classifier::load(file, &device)?,
        None => Classifier::pinned(data.classifier.unwrap_or_default(), &device)?,
    })))
}

/// Whether [`features`] returns the random network.
pub(crate) fn is_random(choice: Option<&Path>, data: Source) -> bool {
    choice.map_or(data.classifier.is_none(), |choice| choice == Path::new(RANDOM))
}

/// Whether a choice of features is a name and not a file.
pub(crate) fn is_name(choice: &Path) -> bool {
    [RANDOM, INCEPTION].iter().any(|name| choice == Path::new(name))
}

/// Whether a classifier that was trained on the data set `learned` can classify `data`. It can if
/// the two data sets use the same classifier. A part of a data set, and a data set composed of it,
/// use the same one.
fn knows(learned: &str, data: Source) -> bool {
    let family = |source: Source| source.classifier.unwrap_or(source.name);
    learned.parse().map_or(learned, family) == family(data)
}

/// What computes features, and the features of the real images.
#[derive(Debug)]
pub(crate) struct Judges {
    pub(crate) features: Features,
    /// What a record of the best generator says about the features. Records with other features
    /// cannot be compared.
    pub(crate) recorded: Option<PathBuf>,
    pub(crate) reference: Reference,
    /// What the channels of the evaluated images are.
    pub(crate) channels: Channels,
    /// Whether there are classes, and they are the classes of the data.
    pub(crate) tells_classes: bool,
    /// Number of images to draw. It is at most the number of held-out real images.
    pub(crate) count: usize,
}

impl Judges {
    /// What the configuration needs to evaluate during training, if it asks for this. It does not
    /// search for copies of training images, because the search takes as long as all the rest. The
    /// command `evaluate` does that.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>> {
        let Some(evaluate) = &config.reporting.evaluate else { return Ok(None) };
        let start = Instant::now();
        let features = features(evaluate.features.as_deref(), None, config.data.name)?;
        let real = Real::load(&config.data, config.model.image_size, config.model.channels, &features)?;
        let count = evaluate.count.min(real.held_out_count());
        if count < evaluate.count {
            tracing::warn!("train.evaluate.count: {}, as real ones are held out", counted(count, "image"));
        }
        let real = real.for_judging(count);
        let reference = real.reference(&features, Pixels::Dropped)?;
        let (name, seconds) = (&real.names.reference, start.elapsed().as_secs_f64());
        let floor = reference.floor(count)?;
        warn_of_errors(&features, config.data.name, &floor);
        let (data, floor) = (features.name(), floor.frechet_distance);
        tracing::info!(
            "will compare {} with {name}: real ones have {data}-fd {floor:.2} ({seconds:.1} s to prepare)",
            counted(count, "image")
        );
        let (channels, tells_classes) = (real.channels_hold(&features), real.is_known_to(&features));
        let recorded = match &features {
            Features::Classifier(_) => evaluate.features.clone(),
            Features::Random(_) | Features::Inception(_) => Some(PathBuf::from(features.id())),
        };
        Ok(Some(Self { features, recorded, reference, channels, tells_classes, count }))
    }
}

/// Warns that the classifier fails on the real images, although it knows their classes. `floor` is
/// the evaluation of the real images.
pub(crate) fn warn_of_errors(features: &Features, data: Source, floor: &Evaluation) {
    let (Some(classifier), Some(accuracy)) = (features.classifier(), &floor.accuracy) else { return };
    let record = classifier.record();
    if accuracy.overall < DOUBTFUL && record.test_accuracy > RELIABLE {
        tracing::warn!(
            "the classifier of {} is right on only {:.0}% of the real images: are these files really {data} \
             (transposed, another set)?",
            record.data,
            accuracy.overall * 100.
        );
    }
}

/// Whether the pixels of the images are kept. Without pixels, memorisation cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pixels {
    Kept,
    Dropped,
}

/// What the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    /// Each channel is a digit, so modes can be counted.
    Digits,
    /// The channels are the colours of one picture.
    Colours,
}

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
        let size = match features {
            Features::Classifier(_) if size > LARGEST => SIDE,
            Features::Classifier(_) => size,
            Features::Random(_) => size.min(LARGEST_PICTURE),
            Features::Inception(_) => size.min(inception::SIDE),
        };
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
        Ok(Self { trained, reference, held_out, may_be_trained_on, is_flipped, source, channels, names })
    }

    /// Warns if these are not the images that the run with this configuration was trained on.
    /// `checkpoint` is its newest one.
    pub(crate) fn warn_of_other_data(&self, run: &Config, checkpoint: &Path) {
        // Images of another size have another fingerprint, and composed ones are compared in part.
        let is_as_trained =
            self.trained.size() == run.model.image_size && self.channels == run.model.channels;
        if !is_as_trained || self.source.composed().is_some() {
            return;
        }
        let fingerprint = Plan::fingerprint_of(&self.trained);
        let setting = BTreeMap::from([(Plan::DATA.to_owned(), fingerprint.clone())]);
        if let Err(TrainError::Mismatch { checkpoint: then, .. }) = checkpoint::check(checkpoint, &setting) {
            let [then, now] = [&then, &fingerprint].map(|of| of.split(',').next().unwrap_or_default());
            tracing::warn!(
                "the run was trained on {then}, and there are other data now ({now}, {}): it is compared with \
                 images that it has never seen",
                self.trained.source()
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
    /// classes.
    pub(crate) fn is_known_to(&self, features: &Features) -> bool {
        features.classifier().is_some_and(|classifier| knows(&classifier.record().data, self.source))
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

/// Computes the features of images `[n, C, H, W]` in [-1, 1], chunk by chunk.
pub(crate) fn sample(
    features: &Features,
    chunks: impl Iterator<Item = Result<Tensor>>,
    kept: Pixels,
    channels: Channels,
) -> Result<Sample> {
    let (mut rows, mut probabilities, mut pixels) = (vec![], vec![], vec![]);
    for chunk in chunks {
        let Look { features: f, probabilities: p, pixels: x } = features.look(&chunk?)?;
        rows.push(f);
        probabilities.extend(p);
        if kept == Pixels::Kept {
            pixels.push(x);
        }
    }
    let rows = Tensor::cat(&rows, 0)?;
    let sample = match probabilities[..] {
        [] => Sample::without_classes(&rows)?,
        [..] => Sample::new(&rows, &Tensor::cat(&probabilities, 0)?)?,
    };
    let sample = match channels {
        Channels::Digits => sample.with_seen_digits()?,
        Channels::Colours => sample,
    };
    Ok(match kept {
        Pixels::Kept => sample.with_images(&Tensor::cat(&pixels, 0)?)?,
        Pixels::Dropped => sample,
    })
}

/// Renames the distance after its features, for example `mnist_fd`, so that nobody confuses it with
/// another distance.
pub(crate) fn name_distance(evaluation: &mut serde_json::Value, features: &str) {
    if let Some(fields) = evaluation.as_object_mut()
        && let Some(distance) = fields.remove("frechet_distance")
    {
        fields.insert(format!("{}_fd", features.replace('-', "_")), distance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_metrics::classifier::PINNED;

    #[test]
    fn every_data_set_has_features_and_is_known_to_its_own_classifier() {
        for source in Source::all() {
            let features = features(None, None, source).unwrap();
            let known = features.classifier().map(|classifier| knows(&classifier.record().data, source));
            assert_eq!(known, source.classifier.map(|_| true), "{source}");
            assert_eq!(features.name() == "random", source.classifier.is_none(), "{source}");
            assert!(source.classifier.is_none_or(|name| PINNED.contains(&name)), "{source}");
            // A user's own classifier that was trained on this data set.
            assert!(knows(source.name, source), "{source}");
        }
        let source = |name: &str| name.parse::<Source>().unwrap();
        let chosen = features(Some(Path::new("random")), None, source("mnist")).unwrap();
        assert_eq!((chosen.name(), chosen.id()), ("random", "random-1"));
        // Any other value is a path.
        let error = features(Some(Path::new("./random")), None, source("mnist")).unwrap_err().to_string();
        assert!(error.contains("./random"), "{error}");
        for data in ["mnist", "mnist-5k", "stacked-mnist"] {
            assert!(knows("mnist", source(data)) && knows("mnist-5k", source(data)), "{data}");
            assert!(!knows("fashion-mnist", source(data)) && !knows("runes", source(data)), "{data}");
        }
        for data in ["folder", "fashion-mnist", "kmnist", "emnist-digits", "cifar-10"] {
            assert!(!knows("mnist", source(data)), "{data}");
        }
    }
}
