//! Compares the metrics with numpy and scipy. `tests/golden/metrics.py` holds the definitions, and
//! `metrics.safetensors` holds its inputs and results.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's panic is its failure, and a passing one shows how close it was"
)]

use candle_core::{DType, Device, Tensor};
use gan_metrics::{
    Classes, Evaluation, KidConfig, Manifold, Memorisation, Modes, Moments, Neighbour, Overlap, Reference,
    Sample, TrainingImages, classifier_score, frechet_distance, kid, nearest, squared_mmd,
};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// Both sides compute in f64. They differ in scipy's roots of matrices and in the order of sums.
const TOLERANCE: f64 = 1e-9;

struct Golden {
    tensors: HashMap<String, Tensor>,
    compared: RefCell<BTreeSet<String>>,
}

impl Golden {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/metrics.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        Self { tensors, compared: RefCell::default() }
    }

    fn input(&self, name: &str) -> &Tensor {
        &self.tensors[&format!("input.{name}")]
    }

    #[track_caller]
    fn compare(&self, name: &str, found: &[f64]) {
        let expected = self.tensors[name].to_vec1::<f64>().unwrap();
        assert_eq!(expected.len(), found.len(), "{name}");
        let difference =
            |(expected, found): (&f64, &f64)| (expected - found).abs() / expected.abs().max(1e-300);
        let worst = expected.iter().zip(found).map(difference).fold(0., f64::max);
        println!("{name}: largest relative difference {worst:.1e}");
        assert!(worst <= TOLERANCE, "{name}: largest relative difference {worst:.1e}");
        self.compared.borrow_mut().insert(name.to_owned());
    }

    fn assert_all_compared(&self) {
        let results = self.tensors.keys().filter(|name| !name.starts_with("input."));
        let missed: Vec<_> = results.filter(|name| !self.compared.borrow().contains(*name)).collect();
        assert!(missed.is_empty(), "not compared: {missed:?}");
    }
}

#[test]
fn agrees_with_numpy_and_scipy() {
    let golden = Golden::open();
    let [real, generated, few_real, few_generated] =
        ["real", "generated", "few_real", "few_generated"].map(|name| golden.input(name));
    let frechet = |a: &Tensor, b: &Tensor| {
        [frechet_distance(&Moments::of(a).unwrap(), &Moments::of(b).unwrap()).unwrap()]
    };
    golden.compare("frechet", &frechet(real, generated));
    golden.compare("frechet_of_few", &frechet(few_real, few_generated));
    golden.compare("frechet_of_few_and_many", &frechet(few_real, generated));
    golden.compare("squared_mmd", &[squared_mmd(real, generated).unwrap()]);
    golden.compare("squared_mmd_of_few", &[squared_mmd(few_real, few_generated).unwrap()]);

    let manifold = Manifold::new(real, 3).unwrap();
    golden.compare("radii", &manifold.radii().collect::<Vec<_>>());
    let overlap = manifold.overlap(&Manifold::new(generated, 3).unwrap()).unwrap();
    golden.compare("precision", &[overlap.precision]);
    golden.compare("recall", &[overlap.recall]);
    golden.compare("density", &[overlap.density]);
    golden.compare("coverage", &[overlap.coverage]);

    let [probabilities, reference] =
        ["probabilities", "reference_probabilities"].map(|name| golden.input(name));
    golden.compare("classifier_score", &[classifier_score(probabilities).unwrap()]);
    let classes = Classes::of(probabilities, reference).unwrap();
    golden.compare("classes.shares", &classes.shares);
    golden.compare("classes.kl", &[classes.kl]);
    golden.compare("classes.covered", &[classes.covered as f64]);
    golden.compare("classes.of", &[classes.of as f64]);
    let modes = Modes::of(&digits(golden.input("digits"))).unwrap();
    golden.compare("modes.covered", &[modes.covered as f64]);
    golden.compare("modes.kl", &[modes.kl]);

    let [train, held_out, images] = ["train", "held_out", "images"].map(|name| golden.input(name));
    let distances = |found: &[Neighbour]| found.iter().map(|found| found.distance).collect::<Vec<_>>();
    let found = nearest(images, train).unwrap();
    golden.compare("nearest", &distances(&found));
    golden.compare("nearest.index", &found.iter().map(|found| found.index as f64).collect::<Vec<_>>());
    let held_out = nearest(held_out, train).unwrap();
    let memorisation = Memorisation::of(&distances(&found), &distances(&held_out)).unwrap();
    golden.compare("memorisation.median", &[memorisation.median]);
    golden.compare("memorisation.held_out_median", &[memorisation.held_out_median]);
    golden.compare("memorisation.copied", &[memorisation.copied]);
    golden.assert_all_compared();
}

/// The test above compares the parts. This test compares an evaluation, which puts them together.
#[test]
fn an_evaluation_holds_the_same_numbers() {
    let golden = Golden::open();
    let sample = |features: &str, probabilities: &str, images: &str, count: usize| {
        let rows = |name: &str| golden.input(name).narrow(0, 0, count).unwrap();
        Sample::new(&rows(features), &rows(probabilities)).unwrap().with_images(&rows(images)).unwrap()
    };
    let train = sample("real", "reference_probabilities", "train", 150);
    let held_out = sample("generated", "reference_probabilities", "held_out", 60);
    let generated = sample("generated", "probabilities", "images", 40)
        .with_digits(digits(&golden.input("digits").narrow(0, 0, 40).unwrap()))
        .unwrap();
    let training_images = TrainingImages::new(golden.input("train"), golden.input("held_out")).unwrap();
    let reference = Reference::new(train, held_out).unwrap().with_training_images(training_images);
    let evaluation = reference.evaluate(&generated).unwrap();
    let (real, generated) = (
        golden.input("real").narrow(0, 0, 150).unwrap(),
        golden.input("generated").narrow(0, 0, 40).unwrap(),
    );
    let overlap = Manifold::new(&real, 3).unwrap().overlap(&Manifold::new(&generated, 3).unwrap()).unwrap();
    let frechet = frechet_distance(&Moments::of(&real).unwrap(), &Moments::of(&generated).unwrap()).unwrap();
    assert_eq!(evaluation.count, 40);
    assert!((evaluation.frechet_distance / frechet - 1.).abs() < TOLERANCE);
    assert_eq!(evaluation.kid, kid(&real, &generated, &KidConfig::default()).unwrap());
    let Evaluation { precision, recall, density, coverage, .. } = evaluation;
    assert_eq!(overlap, Overlap { precision, recall, density, coverage });
    // Seven of the forty images are copies.
    assert!((evaluation.memorisation.unwrap().copied - 7. / 40.).abs() < 1e-12);
    assert_eq!(evaluation.modes.unwrap().of, 1000);
    let floor = reference.floor(1000).unwrap();
    assert_eq!(floor.count, 60);
    // 60 distances are too few for a percentile. So the distances between the 150 training images
    // give the limit.
    let copied = floor.memorisation.unwrap().copied;
    assert!((copied - 2. / 150.).abs() < 1e-12, "{copied}: two of 150 are below the percentile");
}

fn digits(tensor: &Tensor) -> Vec<[u8; 3]> {
    assert_eq!(tensor.dtype(), DType::U8);
    let rows = tensor.to_vec2::<u8>().unwrap();
    rows.into_iter().map(|row| row.try_into().unwrap()).collect()
}
