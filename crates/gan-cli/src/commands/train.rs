//! `gan-cli train`.

mod rollback;
mod session;

use super::program;
use crate::args;
use crate::config::{Config, check_labels};
use crate::device;
use crate::exit::{End, usage};
use crate::judge::Judges;
use crate::observers::Interrupt;
use crate::run_dir::{self, RunDir};
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, LastBatch, Split};
use gan_train::{Outcome, Trainer, checkpoint};
use session::{Ended, Session};
use std::path::{Path, PathBuf};
use std::time::Instant;

const DEFAULT_CONFIG: &str = "mnist-5k";

pub(crate) fn run(args: &args::Train) -> Result<End> {
    let interrupt = Interrupt::install()?;
    let device = device::open(&args.device.device)?;
    let (path, file) = locate(args)?;
    let held = if args.resume && path.exists() { Some(RunDir::open(&path)?) } else { None };
    if let Some(run) = &held {
        rollback::finish(run)?;
    }
    let mut config = Config::load(&file, &args.set)?;
    config.find_files(args.data_dir.as_deref())?;
    config.data.validate().with_context(|| file.display().to_string())?;
    config.check().with_context(|| file.display().to_string())?;
    let model = &config.model;
    let settings = config.settings()?;
    let newest = match &held {
        Some(run) => checkpoint::newest(&run.checkpoints())?,
        None => None,
    };
    if let Some(newest) = &newest {
        // Before the data: a key that differs is better news than data that cannot be found.
        checkpoint::check(newest, &settings)?;
    }
    let data = config.data.load(Split::Train, model.image_size, model.channels)?;
    check_labels(model, &data).with_context(|| file.display().to_string())?;
    let (fingerprint, source) = (data.fingerprint(), data.source().to_owned());
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
    let judges = Judges::of(&config)?;

    // Nothing is written before all that was asked for is there.
    let run = held.map_or_else(|| RunDir::create(&path), Ok)?;
    let mut session = Session { run, config, fingerprint, batches, horizon, device, interrupt, judges };
    let start = Instant::now();
    let mut begun = session.begin(newest.as_deref())?;
    // Only now: a directory with a configuration counts as a run.
    session.write_config()?;
    announce(&session.run, &begun.trainer, &session.device, &source, horizon.steps, args.resume);
    loop {
        match session.go(&mut begun)? {
            Ended::InOrder(outcome) => return Ok(conclude(&session.run, &begun.trainer, outcome, start)),
            Ended::Failing { verdict, healthy_until } => match session.roll_back(&verdict, healthy_until)? {
                Some(before) => begun = before,
                None => return Ok(End::Failing),
            },
        }
    }
}

/// The run's directory and the configuration's file.
fn locate(args: &args::Train) -> Result<(PathBuf, PathBuf)> {
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
    Ok((path, file))
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
