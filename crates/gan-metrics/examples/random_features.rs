//! Shows what the features of the random network see: distances under changes of digits and of
//! coloured shapes, as multiples of the distance of real images.
//!
//! With the files of digits' generators as arguments, it also ranks these, and prints Spearman's
//! correlation with the ranking by the classifier of digits:
//! `cargo example random_features -- runs/*/generator.safetensors`.
#![expect(clippy::print_stdout, reason = "a program shows its result")]

#[path = "../tests/changes/mod.rs"]
mod changes;
#[path = "../tests/shapes/mod.rs"]
mod shapes;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use changes::{blurred, grainy, swapped};
use gan_data::{Dataset, Range, mnist_5k};
use gan_metrics::classifier::CHUNK;
use gan_metrics::{Classifier, Features, Moments, RandomNetwork, frechet_distance};
use gan_models::Generator;
use gan_ops::rng::Stream;
use shapes::{Shape, pictures};
use std::path::Path;

const DEVICE: Device = Device::Cpu;
/// Number of images that are compared with the real ones.
const COUNT: usize = 1000;

fn main() -> Result<()> {
    let random = Features::Random(RandomNetwork::new(&DEVICE)?);
    let classifier = Features::Classifier(Box::new(Classifier::mnist(&DEVICE)?));
    let [reference, held_out] = mnist_5k()?.halves();
    let real = tensor(&reference, |_| true)?;
    println!("| change | random-fd | mnist-fd |\n| --- | --- | --- |");
    for (name, sets) in of_digits(&held_out.spread(COUNT))? {
        println!(
            "| digits: {name} | {} | {} |",
            ratios(&random, &real, &sets)?,
            ratios(&classifier, &real, &sets)?
        );
    }
    let real = drawn(1, 4 * COUNT, |_| true)?;
    for (name, sets) in of_shapes()? {
        println!("| shapes: {name} | {} | |", ratios(&random, &real, &sets)?);
    }
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.len() > 2 { rank(&files, &[random, classifier], &tensor(&reference, |_| true)?) } else { Ok(()) }
}

/// Changes of digits. The first of the sets is not changed.
fn of_digits(digits: &Dataset) -> Result<Vec<(&'static str, Vec<Tensor>)>> {
    let real = tensor(digits, |_| true)?;
    let with = |sets: Vec<Tensor>| [vec![real.clone()], sets].concat();
    let all = |levels: [f64; 4], change: &dyn Fn(f64) -> candle_core::Result<Tensor>| {
        levels.into_iter().map(change).collect::<candle_core::Result<Vec<_>>>()
    };
    let fewer = [9, 8, 6, 4, 2].into_iter().map(|classes| tensor(digits, |class| class < classes));
    Ok(vec![
        ("blurred 1, 2, 4, 8 times", with(all([1., 2., 4., 8.], &|times| blurred(&real, times as usize))?)),
        ("noise of 0.05, 0.1, 0.2, 0.4", with(all([0.05, 0.1, 0.2, 0.4], &|noise| grainy(&real, noise))?)),
        ("only 9, 8, 6, 4, 2 classes", with(fewer.collect::<Result<_>>()?)),
    ])
}

/// Changes of shapes. The first of the sets is not changed.
fn of_shapes() -> Result<Vec<(&'static str, Vec<Tensor>)>> {
    let real = drawn(2, COUNT, |_| true)?;
    let with = |sets: Vec<Tensor>| [vec![real.clone()], sets].concat();
    let all = |levels: [f64; 4], change: &dyn Fn(f64) -> candle_core::Result<Tensor>| {
        levels.into_iter().map(change).collect::<candle_core::Result<Vec<_>>>()
    };
    let colours = [3, 2, 1].map(|colours| drawn(2, COUNT, move |shape| shape.colour < colours));
    let forms = [2, 1].map(|forms| drawn(2, COUNT, move |shape| shape.form < forms));
    Ok(vec![
        ("blurred 1, 2, 4, 8 times", with(all([1., 2., 4., 8.], &|times| blurred(&real, times as usize))?)),
        ("noise of 0.05, 0.1, 0.2, 0.4", with(all([0.05, 0.1, 0.2, 0.4], &|noise| grainy(&real, noise))?)),
        (
            "red and blue swapped in 10%, 20%, 40%, 100%",
            with(all([0.1, 0.2, 0.4, 1.], &|share| swapped(&real, share))?),
        ),
        ("only 3, 2, 1 of 4 colours", with(colours.into_iter().collect::<Result<_>>()?)),
        ("only 2, 1 of 3 forms", with(forms.into_iter().collect::<Result<_>>()?)),
    ])
}

/// Ranks generators of digits with each of the features.
fn rank(files: &[String], features: &[Features; 2], real: &Tensor) -> Result<()> {
    let mut distances = [vec![], vec![]];
    println!("\n| generator | random-fd | mnist-fd |\n| --- | --- | --- |");
    for file in files {
        let (generator, _) = Generator::load(Path::new(file), &DEVICE)?;
        let mut stream = Stream::new(0, "sample", 0);
        let latents = generator.config().latents().draw(&mut stream, COUNT, &DEVICE)?;
        let images = [generator.generate(&latents)?];
        for (features, distances) in features.iter().zip(&mut distances) {
            distances.extend(self::distances(features, real, &images)?);
        }
        let [random, classifier] = [0, 1].map(|i| distances[i].last().copied().unwrap_or_default());
        println!("| {file} | {random:.2} | {classifier:.1} |");
    }
    let ranks = distances.map(|distances| ranks(&distances));
    let squares: f64 = ranks[0].iter().zip(&ranks[1]).map(|(a, b)| (a - b).powi(2)).sum();
    let count = files.len() as f64;
    println!("\nSpearman's correlation: {:.3}", 1. - 6. * squares / (count * (count * count - 1.)));
    Ok(())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| values.iter().filter(|other| *other < value).count() as f64).collect()
}

/// The distances of the sets, as multiples of the first of them.
fn ratios(features: &Features, real: &Tensor, sets: &[Tensor]) -> Result<String> {
    let distances = distances(features, real, sets)?;
    let Some((floor, changed)) = distances.split_first() else { bail!("expected a set of images") };
    Ok(changed.iter().map(|distance| format!("{:.1}", distance / floor)).collect::<Vec<_>>().join(", "))
}

fn distances(features: &Features, real: &Tensor, sets: &[Tensor]) -> Result<Vec<f64>> {
    let moments = |images: &Tensor| -> Result<Moments> {
        let starts = (0..images.dim(0)?).step_by(CHUNK);
        let chunk = |start| images.narrow(0, start, CHUNK.min(images.dim(0)? - start));
        let looks =
            starts.map(|start| Ok(features.look(&chunk(start)?)?.features)).collect::<Result<Vec<_>>>()?;
        Ok(Moments::of(&Tensor::cat(&looks, 0)?)?)
    };
    let real = moments(real)?;
    sets.iter().map(|set| Ok(frechet_distance(&moments(set)?, &real)?)).collect()
}

/// The digits of these classes.
fn tensor(digits: &Dataset, wanted: impl Fn(u32) -> bool) -> Result<Tensor> {
    let Some(labels) = digits.labels() else { bail!("expected digits with labels") };
    let all = labels.iter().enumerate().filter(|(_, class)| wanted(u32::from(**class)));
    let indices: Vec<u32> = all.map(|(index, _)| index as u32).collect();
    Ok(digits.tensor(&indices, 1, Range::MinusOneOne, &DEVICE)?)
}

fn drawn(seed: u64, count: usize, allowed: impl Fn(Shape) -> bool) -> Result<Tensor> {
    Ok(pictures(&shapes::shapes(seed, count, allowed)?, 32)?)
}
