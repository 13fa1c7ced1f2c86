//! Prepares images for the metrics: the real images, and the generated images that are compared
//! with them.

mod real;
mod weights;

pub(crate) use real::Real;

use crate::config::{Config, MIN_JUDGED};
use crate::exit::usage;
use crate::terminal::counted;
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::Source;
use gan_files::sha256;
use gan_metrics::inception::{Inception, Preprocessing};
use gan_metrics::{Classifier, Evaluation, Features, Look, RandomNetwork, Reference, Sample};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The value of `--features` and `train.evaluate.features` that chooses the random network.
const RANDOM: &str = RandomNetwork::NAME;
/// The value of `--features` that chooses the Inception network.
const INCEPTION: &str = Inception::NAME;
/// The Inception network takes minutes, which a run would wait for after every evaluation.
const TOO_SLOW: &str = "train.evaluate.features: expected random or the file of a classifier, found \
                        inception, which takes minutes each time: after the training, use \
                        `evaluate RUN --features inception`";

/// A classifier that was right on more than this share of its own held-out images is right on most
/// images of the same data set.
const RELIABLE: f64 = 0.9;

/// If a reliable classifier is right on less than this share of the real images, they are probably
/// not what their name says.
const DOUBTFUL: f64 = 0.8;

/// The chosen features, or those for this data set: its classifier inside the program, or the random
/// network if there is none. A choice that is no known name is the file of a classifier. `weights` is
/// the file of the Inception network. Without it, the one in PyTorch's cache is used.
pub(crate) fn features(choice: Option<&Path>, weights: Option<&Path>, data: Source) -> Result<Features> {
    let device = Device::Cpu;
    if choice == Some(Path::new(INCEPTION)) {
        let network = Inception::load(&weights::find(weights)?, Preprocessing::PytorchFid, &device)?;
        return Ok(Features::Inception(Arc::new(network)));
    }
    if weights.is_some() {
        return Err(usage("--weights: expected --features inception with it"));
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
    /// What a record of the best generator says about the features: a name, the SHA-256 of a
    /// classifier's file, or nothing for the data set's classifier. Records with other features
    /// cannot be compared.
    pub(crate) recorded: Option<String>,
    pub(crate) reference: Reference,
    /// The evaluation of as many real images.
    pub(crate) floor: Evaluation,
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
        if evaluate.features.as_deref() == Some(Path::new(INCEPTION)) {
            return Err(usage(TOO_SLOW));
        }
        let features = features(evaluate.features.as_deref(), None, config.data.name)?;
        let real = Real::load(&config.data, config.model.image_size, config.model.channels, &features)?;
        let count = evaluate.count.min(real.held_out_count());
        if count < MIN_JUDGED {
            let (found, name) = (counted(count, "image"), config.data.name);
            return Err(usage(format!(
                "train.evaluate: expected at least {MIN_JUDGED} held-out real images, found {found} of {name}"
            )));
        }
        if count < evaluate.count {
            tracing::warn!("train.evaluate.count: {}, as real ones are held out", counted(count, "image"));
        }
        let real = real.for_judging(count);
        let reference = real.reference(&features, Pixels::Dropped)?;
        let (name, seconds) = (&real.names.reference, start.elapsed().as_secs_f64());
        let floor = reference.floor(count)?;
        warn_of_errors(&features, config.data.name, &floor);
        let (data, distance) = (features.name(), floor.frechet_distance);
        tracing::info!(
            "will compare {} with {name}: real ones have {data}-fd {distance:.2} ({seconds:.1} s to prepare)",
            counted(count, "image")
        );
        let (channels, tells_classes) = (real.channels_hold(&features), real.is_known_to(&features));
        let recorded = match (&features, &evaluate.features) {
            // Another classifier may have replaced the file under the same name.
            (Features::Classifier(_), Some(file)) => Some(sha256(&[&gan_files::read(file)?])),
            (Features::Classifier(_), None) => None,
            (Features::Random(_) | Features::Inception(_), _) => Some(features.id().to_owned()),
        };
        Ok(Some(Self { features, recorded, reference, floor, channels, tells_classes, count }))
    }
}

/// Warns that the classifier fails on the real images, although it knows their classes. `floor` is
/// the evaluation of the real images.
pub(crate) fn warn_of_errors(features: &Features, data: Source, floor: &Evaluation) {
    let (Some(classifier), Some(accuracy)) = (features.classifier(), &floor.accuracy) else { return };
    let record = classifier.record();
    if accuracy.overall < DOUBTFUL && record.test_accuracy > RELIABLE {
        let reached = accuracy.overall * 100.;
        if data.is_folder() {
            tracing::warn!(
                "the classifier is right on only {reached:.0}% of these real images, and on {:.0}% of those that \
                 it was tested with: they may be other pictures",
                record.test_accuracy * 100.
            );
            return;
        }
        tracing::warn!(
            "the classifier of {} is right on only {reached:.0}% of the real images: are these files really \
             {data} (transposed, another set)?",
            record.data
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

/// Computes the features of images `[n, C, H, W]` in [-1, 1], chunk by chunk.
pub(crate) fn sample(
    features: &Features,
    chunks: impl Iterator<Item = Result<Tensor>>,
    kept: Pixels,
    channels: Channels,
) -> Result<Sample> {
    let (mut seen, mut pixels) = (vec![], vec![]);
    for chunk in chunks {
        let Look { features, probabilities, pixels: x } = features.look(&chunk?)?;
        seen.push(Seen { features, probabilities });
        if kept == Pixels::Kept {
            pixels.push(x);
        }
    }
    let sample = joined(&seen, channels)?;
    Ok(match kept {
        Pixels::Kept => sample.with_images(&Tensor::cat(&pixels, 0)?)?,
        Pixels::Dropped => sample,
    })
}

/// A [`Look`] without the pixels.
pub(crate) struct Seen {
    pub(crate) features: Tensor,
    pub(crate) probabilities: Option<Tensor>,
}

impl Seen {
    pub(crate) fn of(look: Look) -> Self {
        Self { features: look.features, probabilities: look.probabilities }
    }
}

/// The sample of chunks that follow each other.
pub(crate) fn joined(seen: &[Seen], channels: Channels) -> Result<Sample> {
    let rows: Vec<_> = seen.iter().map(|seen| &seen.features).collect();
    let probabilities: Vec<_> = seen.iter().filter_map(|seen| seen.probabilities.as_ref()).collect();
    let rows = Tensor::cat(&rows, 0)?;
    let sample = match probabilities[..] {
        [] => Sample::without_classes(&rows)?,
        [..] => Sample::new(&rows, &Tensor::cat(&probabilities, 0)?)?,
    };
    Ok(match channels {
        Channels::Digits => sample.with_seen_digits()?,
        Channels::Colours => sample,
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
