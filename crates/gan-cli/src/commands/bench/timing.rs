//! The time measurements of a benchmark.

use super::report::{Phases, round};
use crate::config::Config;
use anyhow::Result;
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, Dataset, LastBatch};
use gan_models::Generator;
use gan_ops::Activation;
use gan_ops::fused::{FusedLayer, Maps, Product};
use gan_ops::rng::Stream;
use gan_train::{Examples, StepReport, Trainer};
use std::time::{Duration, Instant};

/// Number of untimed steps at the start. In them threads start, memory is allocated, and weights
/// and moments get into the caches.
const WARM_UP: u32 = 3;
/// Name for the part of a step outside the trainer's phases: the noise before them, and the
/// probabilities for the report after them.
const REST: &str = "rest";
/// Side of the matrices in the product that measures the machine. It is large enough to be limited
/// by computation, and takes a tenth of a second on one core.
const SGEMM_SIDE: usize = 1024;
const SGEMM_TRIES: u32 = 20;
const SAMPLES: usize = 10_000;
const SAMPLES_AT_ONCE: usize = 256;
const ASSEMBLIES: u32 = 50;

/// The times of training steps, one by one.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) median_ms: f64,
    pub(super) min_ms: f64,
    pub(super) phases: Phases,
    pub(super) last: StepReport,
}

/// Measures `count` steps, at least one, on the same `real` images.
pub(super) fn steps(trainer: &mut Trainer, real: &Examples, count: u32) -> Result<Steps> {
    let device = real.images.device();
    let mut last = trainer.step(real.clone())?;
    for _ in 1..WARM_UP {
        last = trainer.step(real.clone())?;
    }
    device.synchronize()?;
    let mut whole = vec![];
    let mut phases: Vec<(&'static str, Vec<f64>)> =
        trainer.phases().iter().map(|(name, _)| name).chain([REST]).map(|name| (name, vec![])).collect();
    for _ in 0..count {
        let start = Instant::now();
        last = trainer.step(real.clone())?;
        // A GPU may still be computing.
        device.synchronize()?;
        let total = start.elapsed();
        let inside: Duration = trainer.phases().iter().map(|(_, duration)| duration).sum();
        let durations = trainer.phases().iter().map(|(_, duration)| duration);
        let durations = durations.chain([total.saturating_sub(inside)]);
        phases.iter_mut().zip(durations).for_each(|((_, times), duration)| times.push(ms(duration)));
        whole.push(ms(total));
    }
    let phases = phases.into_iter().map(|(name, times)| (name, round(median(times)))).collect();
    let min_ms = whole.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Steps { median_ms: median(whole), min_ms, phases: Phases(phases), last })
}

/// Speed of this process's threads in one large matrix product with the same kernels, in 10^9
/// operations per second. The best of several tries counts, because it shows what the machine can
/// do.
pub(super) fn sgemm_gflops() -> Result<f64> {
    let shape = (SGEMM_SIDE, SGEMM_SIDE);
    let mut stream = Stream::new(0, "bench/sgemm", 0);
    let weight = stream.uniform(-1., 1., shape, &Device::Cpu)?;
    let x = Maps::from_tensor(&stream.uniform(-1., 1., shape, &Device::Cpu)?)?;
    let product = Some((Product::Linear, weight, None));
    let layer = FusedLayer { product, norm: None, activation: Activation::Identity };
    let prepared = layer.prepare();
    let mut best = f64::INFINITY;
    for i in 0..WARM_UP + SGEMM_TRIES {
        let start = Instant::now();
        prepared.forward(&x)?;
        if i >= WARM_UP {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(2. * (SGEMM_SIDE as f64).powi(3) / best / 1e9)
}

/// Number of images that `generator` draws per second. The time for the latents is included.
pub(super) fn sampled_per_second(generator: &Generator) -> Result<f64> {
    let (device, latents) = (generator.device(), generator.config().latents());
    let mut stream = Stream::new(0, "bench/sample", 0);
    let mut draw = |n: usize| -> Result<()> {
        generator.generate(&latents.draw(&mut stream, n, device)?)?;
        Ok(device.synchronize()?)
    };
    draw(SAMPLES_AT_ONCE)?;
    let start = Instant::now();
    for drawn in (0..SAMPLES).step_by(SAMPLES_AT_ONCE) {
        draw(SAMPLES_AT_ONCE.min(SAMPLES - drawn))?;
    }
    Ok(SAMPLES as f64 / start.elapsed().as_secs_f64())
}

/// Median milliseconds to take a batch from a data set in memory and convert it to the network's
/// range.
pub(super) fn batch_assembly_ms(config: &Config, batch: usize) -> Result<f64> {
    let model = &config.model;
    let [channels, height, width] = model.image_shape();
    // Gray images, because their content has no effect. There are two batches of them, so that
    // there is something to shuffle.
    let pixels = vec![127; 2 * batch * channels * height * width];
    let data = Dataset::new("grey", "memory", pixels, channels, model.image_size)?;
    let batches = Batches::new(
        data,
        BatchesConfig {
            batch_size: batch,
            seed: config.seed,
            range: config.data.range,
            channels,
            keep_last: LastBatch::Drop,
            flip: false,
        },
    )?;
    let mut times = vec![];
    for step in 0..ASSEMBLIES.into() {
        let start = Instant::now();
        batches.batch(step, &Device::Cpu)?;
        times.push(ms(start.elapsed()));
    }
    Ok(median(times))
}

/// The largest amount of memory that this process has used, if `/proc` reports it.
pub(super) fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median of at least one value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], values[half]) } else { values[half] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_does_not_care_for_order() {
        assert!((median(vec![5., 1., 3.]) - 3.).abs() < 1e-12);
        assert!((median(vec![4., 1., 100., 2.]) - 3.).abs() < 1e-12);
    }
}
