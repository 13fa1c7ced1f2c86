//! `gan-cli bench`: measures the time of a training step on this machine, without the data set.

mod flop;
mod report;
mod timing;

use crate::args;
use crate::config::Config;
use crate::device;
use crate::exit::{End, usage};
use crate::memory::{Budget, Need};
use crate::terminal::{self, counted};
use anyhow::{Context, Result};
use gan_ops::rng::Stream;
use gan_train::{Examples, Trainer};
use report::{Report, round};

/// A larger batch could fill the memory before any kernel reports an error.
const MAX_BATCH: usize = 1 << 16;

pub(crate) fn run(args: &args::Bench, budget: Budget) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let mut config = Config::load(&args.config, &args.set)?;
    let name = args.config.display().to_string();
    let batch = match args.batch {
        Some(batch) => checked("--batch", batch)?,
        None => checked(&format!("{name}: data.batch-size"), config.data.batch_size)?,
    };
    config.data.batch_size = batch;
    config.check().with_context(|| name.clone())?;
    let images = checked(&format!("{name}: images in a step"), config.train.images_per_step(batch))?;
    budget.check(&Need::of_training(&config)).with_context(|| name.clone())?;
    let threads = candle_core::utils::get_num_threads();
    tracing::info!("timing {} of {name}, batch {batch}, threads {threads}", counted(args.steps, "step"));

    let [channels, height, width] = config.model.image_shape();
    let real =
        Stream::new(config.seed, "bench", 0).uniform(-1., 1., (images, channels, height, width), &device)?;
    let labels = config.model.classes.map(|classes| (0..images).map(|i| (i % classes) as u16).collect());
    let real = Examples { images: real, labels };
    let mut trainer = Trainer::new(&config.model, &config.train, config.seed, &device)?;
    let steps = timing::steps(&mut trainer, &real, args.steps)?;
    // The peak is read here, before work that is not part of training can raise it.
    let peak_rss_mib = timing::peak_rss_mib();
    let sgemm = if device.is_cpu() { Some(timing::sgemm_gflops()?) } else { None };
    let batch_ms = timing::batch_assembly_ms(&config, batch)?;
    let sampling =
        if args.no_sampling { None } else { Some(timing::sampled_per_second(trainer.generator())?) };

    let step_s = steps.median_ms / 1e3;
    let gflop = flop::of_step(&config.model, &config.train, batch) / 1e9;
    let report = Report {
        config: name,
        batch,
        steps: args.steps,
        threads,
        step_ms: round(steps.median_ms),
        step_ms_min: round(steps.min_ms),
        images_per_s: round(images as f64 / step_s),
        gflop: round(gflop),
        gflops: round(gflop / step_s),
        sgemm_gflops: sgemm.map(round),
        percent_of_sgemm: sgemm.map(|sgemm| round(100. * gflop / step_s / sgemm)),
        peak_rss_mib: peak_rss_mib.map(round),
        phases: steps.phases,
        batch_assembly_ms: round(batch_ms),
        sample_images_per_s: sampling.map(round),
        d_loss: steps.last.d_loss,
        g_loss: steps.last.g_loss,
    };
    let text = if args.json { serde_json::to_string(&report)? + "\n" } else { report.to_string() };
    terminal::print(&text)?;
    Ok(End::Done)
}

fn checked(what: &str, batch: usize) -> Result<usize> {
    if (1..=MAX_BATCH).contains(&batch) {
        return Ok(batch);
    }
    Err(usage(format!("{what}: expected a whole number from 1 to {MAX_BATCH}, found {batch}")))
}
