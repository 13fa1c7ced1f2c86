//! `gan-cli train`.

use super::program;
use crate::args;
use crate::config::Config;
use crate::device;
use crate::exit::{End, usage};
use crate::observers::{Checkpoints, Interrupt, Metrics, Progress, Samples};
use crate::run_dir::{self, RunDir};
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, LastBatch, Split};
use gan_models::write_atomically;
use gan_train::{Outcome, TrainError, Trainer, checkpoint, every, fit};
use std::path::{Path, PathBuf};
use std::time::Instant;

const DEFAULT_CONFIG: &str = "mnist-5k";

pub(crate) fn run(args: &args::Train) -> Result<End> {
    let mut interrupt = Interrupt::install()?;
    let device = device::open(&args.device.device)?;
    let (path, file, config) = resolve(args)?;
    let model = &config.model;
    let mut settings = config.settings()?;
    let held = if args.resume && path.exists() { Some(RunDir::open(&path)?) } else { None };
    let newest = match &held {
        Some(run) => checkpoint::newest(&run.checkpoints())?,
        None => None,
    };
    if let Some(newest) = &newest {
        // Before the data: a key that differs is better news than data that cannot be found.
        checkpoint::check(newest, &settings)?;
    }
    let data = config.data.load(Split::Train, model.image_size, model.channels)?;
    settings.insert("data.fingerprint".to_owned(), data.fingerprint());
    let (data_name, data_source) = (data.name().to_owned(), data.source().to_owned());
    let batches = Batches::new(
        data,
        BatchesConfig {
            batch_size: config.data.batch_size,
            seed: config.seed,
            range: config.data.range,
            channels: model.channels,
            keep_last: LastBatch::Drop,
        },
    )
    .with_context(|| file.display().to_string())?;
    let horizon = config.train.horizon(batches.batches_per_epoch())?;

    let run = held.map_or_else(|| RunDir::create(&path), Ok)?;
    write_atomically(&run.config(), config.to_toml()?.as_bytes())?;
    let (mut trainer, seconds) = match &newest {
        Some(newest) => {
            let (trainer, state) =
                checkpoint::load(newest, model, &config.train, config.seed, &settings, &device)?;
            (trainer, state.seconds)
        }
        None => (Trainer::new(model, &config.train, config.seed, &device)?, 0.),
    };
    let done = trainer.steps_done();
    announce(&run, &trainer, &device, &data_source, horizon.steps, args.resume);
    let clock = (Instant::now(), seconds);
    let batch_size = config.data.batch_size;
    let train = &config.train;
    let metrics = Metrics::open(&run.metrics(), train, batch_size, &horizon, done, seconds)?;
    let samples = Samples::new(&run, &trainer, train.sample_count)?;
    let checkpoints = Checkpoints {
        run: &run,
        data: data_name,
        batch_size,
        settings,
        keep: train.keep,
        clock,
        saved: newest.map(|_| done),
    };
    let outcome = fit(
        &mut trainer,
        horizon.steps,
        |step| batches.batch(step, &device).map_err(TrainError::observer),
        &mut [
            &mut every(train.log_every, metrics),
            &mut Progress::new(horizon.steps, done, train.log_every, batch_size),
            &mut every(train.sample_every, samples),
            // After the line and the grid of its step, so that a resume from it repeats neither.
            &mut every(train.checkpoint_every, checkpoints),
            &mut interrupt,
        ],
    )
    .with_context(|| failed(&run))?;
    Ok(conclude(&run, &trainer, outcome, clock.0))
}

/// The run's directory, the configuration's file, and all that it says.
fn resolve(args: &args::Train) -> Result<(PathBuf, PathBuf, Config)> {
    let name = match &args.config {
        None => DEFAULT_CONFIG.to_owned(),
        Some(file) => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let path = match (&args.out, args.resume) {
        (Some(out), _) => out.clone(),
        (None, false) => run_dir::next_free(&name),
        (None, true) => run_dir::last(&name),
    };
    let file = match &args.config {
        Some(file) => file.clone(),
        None if args.resume && path.join("config.toml").exists() => path.join("config.toml"),
        None if args.resume && args.out.is_some() => {
            return Err(usage(format!(
                "{} holds no config.toml to resume with: name the run's --config, or another --out",
                path.display()
            )));
        }
        None => Path::new(DEFAULT_CONFIG).to_owned(),
    };
    let mut config = Config::load(&file, &args.set)?;
    config.set_data_dir(args.data_dir.as_deref())?;
    config.data.validate().with_context(|| file.display().to_string())?;
    Ok((path, file, config))
}

fn announce(run: &RunDir, trainer: &Trainer, device: &Device, data: &str, steps: u64, resume: bool) {
    let (generator, discriminator) = (trainer.generator().params(), trainer.discriminator().params());
    tracing::info!("data: {data}");
    tracing::info!(
        "generator {} parameters, discriminator {}, on {}",
        generator.count(),
        discriminator.count(),
        if device.is_cpu() { "the CPU" } else { "the GPU" }
    );
    let done = trainer.steps_done();
    match (resume, done) {
        (false, _) => tracing::info!("training {steps} steps into {}", run.path().display()),
        (true, 0) => tracing::info!("no checkpoint in {} yet: starting with step 1", run.path().display()),
        (true, _) if done >= steps => {
            tracing::info!("{} has its {done} steps already", run.path().display());
        }
        (true, _) => tracing::info!("going on after step {done} of {steps} in {}", run.path().display()),
    }
}

fn failed(run: &RunDir) -> String {
    match checkpoint::newest(&run.checkpoints()) {
        Ok(Some(newest)) => format!("training stopped; the last good checkpoint is {}", newest.display()),
        Ok(None) => "training stopped before its first checkpoint".to_owned(),
        Err(_) => "training stopped".to_owned(),
    }
}

fn conclude(run: &RunDir, trainer: &Trainer, outcome: Outcome, start: Instant) -> End {
    let (path, step) = (run.path().display(), trainer.steps_done());
    let seconds = start.elapsed().as_secs_f64();
    if outcome == Outcome::Stopped {
        tracing::warn!("stopped after step {step}; go on with: {} train --out {path} --resume", program());
        return End::Interrupted;
    }
    tracing::info!("done: step {step}, {seconds:.0} s");
    tracing::info!("look at {}", run.samples(step).display());
    tracing::info!("draw more: {} sample {path} --count 64 --seed 1 --out more.png", program());
    End::Done
}
