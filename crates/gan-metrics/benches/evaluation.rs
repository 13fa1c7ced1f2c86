//! Times the evaluation of 10,000 generated images against 60,000 real ones, part by part:
//! `cargo bench -p gan-metrics`.
#![expect(clippy::unwrap_used, reason = "a benchmark's panic is its failure")]

use candle_core::{D, Device, Tensor};
use divan::{Bencher, black_box};
use gan_metrics::{
    KidConfig, Manifold, Moments, Reference, Sample, TrainingImages, frechet_distance, kid, nearest,
};
use gan_ops::rng::Stream;

#[expect(unsafe_code, reason = "candle reads its thread counts from the environment")]
fn main() {
    // SAFETY: this is the first statement of the program, so there is no other thread yet.
    unsafe { gan_ops::threads::settle(None) };
    divan::main();
}

const REAL: usize = 60_000;
const GENERATED: usize = 10_000;
const HELD_OUT: usize = 10_000;
const FEATURES: usize = 64;
const PIXELS: usize = 784;
const CLASSES: usize = 10;

fn normal(index: u64, count: usize, width: usize) -> Tensor {
    Stream::new(0, "bench", index).normal((count, width), &Device::Cpu).unwrap()
}

fn sample(index: u64, count: usize) -> Sample {
    let probabilities = candle_nn::ops::softmax(&normal(index, count, CLASSES), D::Minus1).unwrap();
    Sample::new(&normal(index, count, FEATURES), &probabilities).unwrap()
}

fn images(index: u64, count: usize) -> Tensor {
    normal(index, count, PIXELS).tanh().unwrap()
}

#[divan::bench(sample_count = 3)]
fn frechet(bencher: Bencher<'_, '_>) {
    let [real, generated] = [normal(0, REAL, FEATURES), normal(1, GENERATED, FEATURES)];
    bencher.bench_local(|| {
        let [real, generated] = [&real, &generated].map(|points| Moments::of(black_box(points)).unwrap());
        frechet_distance(&real, &generated).unwrap()
    });
}

#[divan::bench(sample_count = 3)]
fn kernel_distance(bencher: Bencher<'_, '_>) {
    let [real, generated] = [normal(0, REAL, FEATURES), normal(1, GENERATED, FEATURES)];
    bencher.bench_local(|| kid(black_box(&real), black_box(&generated), &KidConfig::default()).unwrap());
}

#[divan::bench(sample_count = 3, args = [GENERATED, REAL])]
fn manifold(bencher: Bencher<'_, '_>, count: usize) {
    let points = normal(0, count, FEATURES);
    bencher.bench_local(|| Manifold::new(black_box(&points), 3).unwrap());
}

#[divan::bench(sample_count = 3)]
fn overlap(bencher: Bencher<'_, '_>) {
    let [real, generated] = [normal(0, REAL, FEATURES), normal(1, GENERATED, FEATURES)]
        .map(|points| Manifold::new(&points, 3).unwrap());
    bencher.bench_local(|| black_box(&real).overlap(&generated).unwrap());
}

#[divan::bench(sample_count = 3)]
fn nearest_images(bencher: Bencher<'_, '_>) {
    let [real, generated] = [normal(0, REAL, PIXELS), normal(1, GENERATED, PIXELS)];
    bencher.bench_local(|| nearest(black_box(&generated), black_box(&real)).unwrap());
}

/// Times the whole evaluation: the work on the real images alone, the generated images, and the
/// floor.
#[divan::bench(sample_count = 3)]
fn everything(bencher: Bencher<'_, '_>) {
    let (train, held_out) = (sample(0, REAL), sample(1, HELD_OUT));
    let generated = sample(2, GENERATED).with_images(&images(2, GENERATED)).unwrap();
    let (train_images, held_out_images) = (images(0, REAL), images(1, HELD_OUT));
    bencher.bench_local(|| {
        let training_images = TrainingImages::new(&train_images, &held_out_images).unwrap();
        let reference = Reference::new(train.clone(), held_out.clone()).unwrap();
        let reference = reference.with_training_images(training_images);
        (reference.evaluate(&generated).unwrap(), reference.floor(GENERATED).unwrap())
    });
}
