//! Tests of the digit classifier in this crate.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use candle_core::{DType, Device, Tensor};
use gan_data::{Range, mnist_5k};
use gan_metrics::classifier::{FEATURES, PINNED, Record, SIDES};
use gan_metrics::{Classifier, Look};

const ASSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist-classifier.safetensors");

/// Returns some of the embedded digits `[n, channels, size, size]` in the range of a generator,
/// and their labels. They are evenly spaced.
fn digits(n: usize, channels: usize, size: usize) -> (Tensor, Vec<u16>) {
    let data = mnist_5k().unwrap().resize(size).unwrap().spread(n);
    let labels = data.labels().unwrap().to_vec();
    let all: Vec<u32> = (0..n as u32).collect();
    (data.tensor(&all, channels, Range::MinusOneOne, &Device::Cpu).unwrap(), labels)
}

fn accuracy(probabilities: &Tensor, labels: &[u16]) -> f64 {
    let named = probabilities.argmax(1).unwrap().to_vec1::<u32>().unwrap();
    assert_eq!(named.len(), labels.len());
    let hits = named.iter().zip(labels).filter(|(named, label)| **named == u32::from(**label)).count();
    hits as f64 / labels.len() as f64
}

#[test]
fn it_knows_the_embedded_digits_and_says_what_it_reached_on_others() {
    assert!(std::fs::metadata(ASSET).unwrap().len() <= 1_000_000);
    let classifier = Classifier::mnist(&Device::Cpu).unwrap();
    let Record { data, classes, images, test_accuracy, .. } = classifier.record();
    assert_eq!((data.as_str(), *classes, *images), ("mnist", 10, 60_000));
    assert!(*test_accuracy >= 0.994, "{test_accuracy}");
    // The classifier was trained on these images.
    let (images, labels) = digits(1000, 1, 28);
    let Look { features, probabilities, pixels } = classifier.look(&images).unwrap();
    let probabilities = probabilities.unwrap();
    assert_eq!((features.dims(), pixels.dims()), (&[1000, FEATURES][..], &[1000, 784][..]));
    let reached = accuracy(&probabilities, &labels);
    assert!(reached >= 0.995, "{reached}");
    let sums = probabilities.sum(1).unwrap().to_vec1::<f32>().unwrap();
    assert!(sums.iter().all(|sum| (sum - 1.).abs() < 1e-5));
}

#[test]
fn each_pinned_classifier_has_its_name() {
    assert!(std::fs::metadata(ASSET.replace("mnist-c", "fashion-mnist-c")).unwrap().len() <= 1_000_000);
    for (name, least) in PINNED.into_iter().zip([0.994, 0.93]) {
        let classifier = Classifier::pinned(name, &Device::Cpu).unwrap();
        let Record { data, classes, test_accuracy, .. } = classifier.record();
        assert_eq!((data.as_str(), *classes), (name, 10));
        assert!(*test_accuracy >= least, "{test_accuracy}");
    }
    let error = Classifier::pinned("folder", &Device::Cpu).unwrap_err().to_string();
    assert_eq!(error, "classifier: expected one of mnist, fashion-mnist, found folder");
    // The two classifiers have different weights: one recognises digits, the other recognises
    // clothes.
    let (images, _) = digits(50, 1, 28);
    let features = |name| Classifier::pinned(name, &Device::Cpu).unwrap().look(&images).unwrap().features;
    let apart = (features("mnist") - features("fashion-mnist")).unwrap().abs().unwrap().max_all().unwrap();
    assert!(apart.to_scalar::<f32>().unwrap() > 0.1);
}

#[test]
fn other_sizes_become_28() {
    let classifier = Classifier::mnist(&Device::Cpu).unwrap();
    let (images, labels) = digits(200, 1, 28);
    let plain = classifier.look(&images).unwrap();
    // A 32x32 image is a 28x28 image with a frame, and the frame is cut off again.
    let framed = classifier.look(&digits(200, 1, 32).0).unwrap();
    let difference = (plain.features - framed.features).unwrap().abs().unwrap().max_all().unwrap();
    assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
    for size in [20, 40, 64, 90] {
        let look = classifier.look(&digits(200, 1, size).0).unwrap();
        let reached = accuracy(&look.probabilities.unwrap(), &labels);
        assert!(reached > 0.95, "{size}: {reached}");
    }
}

#[test]
fn channels_are_classified_one_by_one() {
    let classifier = Classifier::mnist(&Device::Cpu).unwrap();
    let (images, labels) = digits(30, 1, 28);
    let stacked = images.reshape((10, 3, 28, 28)).unwrap();
    let look = classifier.look(&stacked).unwrap();
    assert_eq!(look.features.dims(), [10, 3 * FEATURES]);
    assert!(accuracy(&look.probabilities.unwrap(), &labels) > 0.95);
    let alone = classifier.look(&images).unwrap().features.reshape((10, 3 * FEATURES)).unwrap();
    let difference = (look.features - alone).unwrap().abs().unwrap().max_all().unwrap();
    assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
}

/// A record with 24 classes, for images of this size and number of channels.
fn runes(size: usize, channels: usize) -> Record {
    Record {
        data: "runes".into(),
        classes: 24,
        images: 7,
        epochs: 2,
        seed: 5,
        test_accuracy: 0.5,
        size,
        channels,
        hold_out: None,
        chance: None,
        crop: None,
        background: None,
        class_names: vec![],
    }
}

#[test]
fn a_classifier_of_colours_sees_the_channels_together() {
    for size in SIDES {
        let classifier = Classifier::new(runes(size, 3), &Device::Cpu).unwrap();
        let ramp = Tensor::arange(0f32, 2. * 3. * 32. * 32., &Device::Cpu).unwrap();
        let images = ((ramp / 3072.).unwrap() - 1.).unwrap().reshape((2, 3, 32, 32)).unwrap();
        let look = |images: &Tensor| classifier.look(images).unwrap();
        let Look { features, probabilities, .. } = look(&images);
        assert_eq!(features.dims(), [2, FEATURES], "{size}");
        assert_eq!(probabilities.unwrap().dims(), [2, 24], "{size}");
        let apart = |a: Tensor, b: &Tensor| {
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert!(apart(look(&images.flip(&[1]).unwrap()).features, &features) > 1e-5, "{size}");
        let gray = images.narrow(1, 0, 1).unwrap();
        let repeated = look(&gray.repeat((1, 3, 1, 1)).unwrap()).features;
        assert!(apart(look(&gray).features, &repeated) < 1e-6, "{size}");
        assert!(classifier.look(&images.narrow(1, 0, 2).unwrap()).is_err(), "{size}");
    }
}

#[test]
fn a_record_without_a_network_is_an_error() {
    let error = |record: Record| Classifier::new(record, &Device::Cpu).unwrap_err().to_string();
    assert_eq!(error(runes(40, 3)), "size: expected one of [28, 32, 64, 128], found 40");
    assert_eq!(error(runes(32, 2)), "channels: expected 1 or 3, found 2");
    let none = Record { classes: 0, ..runes(32, 3) };
    assert_eq!(error(none), "classes: expected 1 to 1000, found 0");
    let named = Record { class_names: vec!["one".into()], ..runes(32, 3) };
    assert_eq!(error(named), "class-names: expected none or 24, found 1");
}

#[test]
fn a_classifier_comes_back_as_it_was_and_nothing_else_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.safetensors");
    let record = runes(28, 1);
    let own = Classifier::new(record.clone(), &Device::Cpu).unwrap();
    own.save(&path).unwrap();
    let loaded = Classifier::load(&path, &Device::Cpu).unwrap();
    assert_eq!(loaded.record(), &record);
    let images = Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(loaded.look(&images).unwrap().probabilities.unwrap().dims(), [2, 24]);

    let error = |path: &std::path::Path| Classifier::load(path, &Device::Cpu).unwrap_err().to_string();
    let bytes = std::fs::read(&path).unwrap();
    let epochs = b"\\\"epochs\\\":";
    let epochs = bytes.windows(epochs.len()).position(|part| part == epochs).unwrap() + epochs.len();
    for place in [bytes.len() - 1, bytes.len() - 5001, epochs] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(error(&path).contains("is damaged: its checksums do not fit"), "{}", error(&path));
    }
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error(&path).contains("own.safetensors: is truncated"), "{}", error(&path));
    gan_models::write_tensors(&path, vec![("x".into(), images)], None).unwrap();
    assert!(error(&path).contains("own.safetensors: is no classifier"), "{}", error(&path));
    assert!(error(&directory.path().join("none")).contains("No such file"));
}
