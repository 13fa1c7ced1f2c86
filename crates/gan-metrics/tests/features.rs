//! Tests the features for images that no classifier knows: distances, bins, and the verdict on a
//! generator that misses some of the images.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

mod changes;
mod shapes;

use candle_core::{Device, Tensor};
use changes::{blurred, grainy, swapped};
use gan_data::{Range, mnist_5k};
use gan_metrics::health::{Failure, Losses, Monitor, Player, Probe, Verdict, Vitals};
use gan_metrics::{Features, Moments, RandomNetwork, frechet_distance};
use shapes::{Shape, pictures, shapes};

const SIDE: usize = 32;
/// The index of blue among the colours. It is the colour of 23% of the shapes.
const OF_BLUE: usize = 2;

fn drawn(seed: u64, count: usize, allowed: impl Fn(Shape) -> bool) -> Tensor {
    pictures(&shapes(seed, count, allowed).unwrap(), SIDE).unwrap()
}

/// The distances of sets of images from the real images. The first is that of real images.
fn distances(real: &Tensor, sets: &[Tensor]) -> Vec<f64> {
    let network = RandomNetwork::new(&Device::Cpu).unwrap();
    let moments = |images: &Tensor| Moments::of(&network.features(images).unwrap()).unwrap();
    let real = moments(real);
    sets.iter().map(|set| frechet_distance(&moments(set), &real).unwrap()).collect()
}

#[track_caller]
fn assert_grows(what: &str, distances: &[f64]) {
    assert!(distances.is_sorted() && distances[1] > 1.1 * distances[0], "{what}: {distances:?}");
}

#[test]
fn distances_grow_with_every_change_of_pictures() {
    let real = drawn(1, 1200, |_| true);
    let held = drawn(2, 400, |_| true);
    let with = |change: &dyn Fn(usize) -> Tensor| {
        let sets: Vec<_> = [held.clone()].into_iter().chain((0..3).map(change)).collect();
        distances(&real, &sets)
    };
    assert_grows("blur", &with(&|level| blurred(&held, [1, 2, 4][level]).unwrap()));
    assert_grows("noise", &with(&|level| grainy(&held, [0.1, 0.2, 0.4][level]).unwrap()));
    assert_grows("swapped colours", &with(&|level| swapped(&held, [0.2, 0.4, 1.][level]).unwrap()));
    assert_grows("lost colours", &with(&|level| drawn(2, 400, |shape| shape.colour < 3 - level)));
    assert_grows("lost forms", &with(&|level| drawn(2, 400, |shape| shape.form < [2, 1, 1][level])));
}

#[test]
fn distances_grow_with_each_lost_class_of_digits() {
    let data = mnist_5k().unwrap();
    let labels = data.labels().unwrap().to_vec();
    let digits = |parity: usize, classes: u32| {
        let fits = |&i: &usize| i % 5 == parity && u32::from(labels[i]) < classes;
        let indices: Vec<u32> = (0..data.len()).filter(fits).map(|i| i as u32).collect();
        data.tensor(&indices, 1, Range::MinusOneOne, &Device::Cpu).unwrap()
    };
    let sets: Vec<_> = [10, 8, 6, 4, 2].into_iter().map(|classes| digits(1, classes)).collect();
    assert_grows("lost classes", &distances(&digits(0, 10), &sets));
}

/// The verdicts on a generator that draws shapes of this kind, after 12 checks.
fn verdicts(allowed: impl Fn(Shape) -> bool + Copy) -> Vec<Verdict> {
    let real = drawn(1, 500, |_| true);
    let features = Features::Random(RandomNetwork::new(&Device::Cpu).unwrap());
    let items = (0..2).map(|half| Ok::<_, gan_metrics::MetricsError>(real.narrow(0, half * 250, 250)?));
    let probe = Probe::new(features, items, [-1., 1.], 256).unwrap();
    let baseline = probe.baseline([20., 20.]);
    assert_eq!((baseline.shares.len(), baseline.features.as_deref()), (10, Some("random-1")));
    let player = Player { weight: 20., gradient: 0.5, update: 1e-3 };
    let losses = Losses {
        d_loss: 0.8,
        g_loss: 1.8,
        d_real: Some(0.75),
        d_fake: Some(0.25),
        largest_logit: 8.,
        swing: 0.1,
        rhythm: 0.3,
    };
    let mut monitor = Monitor::new(baseline, 0);
    for check in 1..=12 {
        let images = probe.look(&drawn(100 + check, 256, allowed)).unwrap();
        let losses = losses.clone();
        let (generator, discriminator) = (player, player);
        let vitals = Vitals { losses, generator, discriminator, largest_activation: 15., images };
        monitor.observe(500 * check, vitals);
    }
    monitor.verdicts().to_vec()
}

#[test]
fn a_generator_that_never_draws_blue_has_lost_a_mode() {
    let found = verdicts(|shape| shape.colour != OF_BLUE);
    assert_eq!(found.iter().map(|verdict| verdict.failure).collect::<Vec<_>>(), [Failure::MissingModes]);
    let evidence = &found[0].evidence;
    assert!(evidence.starts_with("of 3072 generated images hardly any is of bin "), "{evidence}");
    assert!(!evidence.contains("class"), "{evidence}");
    assert_eq!(verdicts(|_| true), []);
}
