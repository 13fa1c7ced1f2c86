//! `gan-cli train`.

mod warnings;

use super::{program, quoted};
use crate::args;
use crate::config::{Config, check_images};
use crate::exit::{End, usage};
use crate::judge::Judges;
use crate::loading;
use crate::memory::{Budget, Need};
use crate::ranks::{self, Leader, Ranks};
use crate::run::{Interrupt, Plan, Session, Sinks, rollback};
use crate::run_dir::{self, RunDir};
use crate::terminal::counted;
use crate::{device, journal};
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, LastBatch, Split};
use gan_models::{Generator, ModelConfig};
use gan_train::{InitConfig, Outcome, TrainError, Trainer, checkpoint};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const DEFAULT_CONFIG: &str = "mnist-5k";

pub(crate) fn run(args: &args::Train, budget: Budget, ranks: &Ranks) -> Result<End> {
    if ranks.group.rank() > 0 {
        return ranks::follow(args, &ranks.group);
    }
    let leader = Leader::new(ranks.group.clone());
    let interrupt = Interrupt::install()?;
    let device = device::open(&args.device.device)?;
    args.init_from.iter().try_for_each(|from| super::check_option("--init-from", from))?;
    let (place, file) = locate(args)?;
    let held = match &place {
        Place::Of(path) if args.resume && path.exists() => Some(RunDir::open(path)?),
        Place::Of(_) | Place::Numbered(_) => None,
    };
    let newest = held.as_ref().map(state_to_continue).transpose()?.flatten();
    let mut config = configuration(args, &file, budget)?;
    if let Some(run) = &held {
        keep_beginning(run, newest.is_some(), &mut config)?;
    }
    if let Some(run) = &held {
        rollback::check(run, &config)?;
    }
    if let Some(init) = config.train.init.as_ref().filter(|_| args.init_from.is_none() && newest.is_none()) {
        super::check_option("train.init.from", &init.from)?;
    }
    if let Some(newest) = &newest {
        // This check comes before the data are read. A changed key is the more helpful error if the
        // data are missing too.
        checkpoint::check(newest, &config.settings()?)?;
    }
    if let (None, Place::Of(path)) = (&held, &place) {
        check_apart(path, &config)?;
    }
    let part = config.train.part_size(config.data.batch_size, ranks.group.size())?;
    config.model.validate_batch(part)?;
    let batches = batches(&config, &file)?;
    let fingerprint = Plan::fingerprint_of(batches.dataset());
    if let Some(newest) = &newest {
        check_data(newest, &fingerprint, &batches)?;
        check_class_names(newest, &config.model, &batches)?;
    }
    let horizon = config.train.horizon(batches.batches_per_epoch())?;
    let judges = Judges::of(&config)?.map(Arc::new);

    // Nothing is written before everything that the command needs has been found.
    let run = match (held, &place) {
        (Some(run), _) => run,
        (None, Place::Of(path)) => RunDir::create(path)?,
        (None, Place::Numbered(name)) => RunDir::create_numbered(name)?,
    };
    let sinks = Sinks::of(&run, &config)?;
    let plan = Plan { run, config, fingerprint, batches, horizon, device, judges, interrupt, leader };
    let mut session = Session { plan, sinks };
    let start = Instant::now();
    let mut state = session.begin(newest.as_deref())?;
    let (done, steps) = (state.trainer.steps_done(), session.plan.horizon.steps);
    if done > steps {
        return Err(usage(format!(
            "train.steps: expected {done} or more, which the run has done, found {steps}"
        )));
    }
    warnings::of_few_steps(&session.plan);
    warnings::of_few_held_out(&session.plan);
    // The configuration is written last, because a directory with a configuration counts as a run.
    session.write_config()?;
    announce(&session.plan, &state.trainer, args.resume);
    let outcome = session.run(&mut state)?;
    Ok(conclude(&session.plan.run, state.trainer.steps_done(), outcome, start))
}

/// The newest checkpoint of a run that is to continue, after checks of the run's files. `None` if
/// nothing was saved yet.
fn state_to_continue(run: &RunDir) -> Result<Option<PathBuf>> {
    journal::check(&run.metrics())?;
    rollback::finish(run)?;
    let newest = checkpoint::newest(&run.checkpoints())?;
    if newest.is_some() && !run.metrics().exists() {
        tracing::warn!("{} is missing: a new one begins at the checkpoint", run.metrics().display());
    }
    if newest.is_none()
        && let Some(weights) = [run.generator(), run.ema()].into_iter().find(|file| file.exists())
    {
        // A run writes its first checkpoint before it writes these weights.
        return Err(usage(format!(
            "{} has no checkpoint to resume from: the run would start again and write over it; choose another \
             --out",
            weights.display()
        )));
    }
    Ok(newest)
}

/// Gives the configuration the beginning of the run that it continues, which the file of `--config` need not
/// tell. The average of weights depends on it, and a run without a checkpoint begins so again.
fn keep_beginning(run: &RunDir, is_begun: bool, config: &mut Config) -> Result<()> {
    if !run.config().exists() {
        return Ok(());
    }
    let own = Config::load(&run.config(), &[])?;
    match own.train.init {
        Some(init) if is_begun || config.train.init.is_none() => config.train.init = Some(init),
        None if is_begun && config.train.init.is_some() => {
            return Err(usage(format!(
                "train.init: the run did not begin with other weights, as {} says: leave the key out",
                run.config().display()
            )));
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Checks that a new run will not be among the pictures that it trains on. A run in a directory of
/// its own may be below them, because a search for pictures passes over runs.
fn check_apart(path: &Path, config: &Config) -> Result<()> {
    let is_folder = config.data.name.shape.is_none();
    let (Some(data), Ok(place)) = (&config.data.dir, path.canonicalize()) else { return Ok(()) };
    let is_empty = || place.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    if is_folder && place.starts_with(data) && !is_empty() {
        return Err(usage(format!(
            "--out {} is a directory of the pictures to train on, which the run's grids would join: choose a \
             new one",
            quoted(path)
        )));
    }
    Ok(())
}

/// Checks that the data are those of the checkpoint.
fn check_data(checkpoint: &Path, fingerprint: &str, batches: &Batches) -> Result<()> {
    let setting = BTreeMap::from([(Plan::DATA.to_owned(), fingerprint.to_owned())]);
    match checkpoint::check(checkpoint, &setting) {
        Err(TrainError::Mismatch { checkpoint: then, config: now, .. }) => {
            let count = |fingerprint: &str| fingerprint.split(',').next().unwrap_or_default().to_owned();
            let (then, now, source) = (count(&then), count(&now), batches.dataset().source());
            let differ = if then == now { "others now" } else { "other data now" };
            Err(usage(format!(
                "the run was trained on {then}, and there are {differ} ({source}): a resume needs the same data"
            )))
        }
        checked => Ok(checked?),
    }
}

/// Checks that the classes of a conditional run are called as before. Only their names can differ,
/// because the labels are part of the data.
fn check_class_names(checkpoint: &Path, model: &ModelConfig, batches: &Batches) -> Result<()> {
    if model.classes.is_none() {
        return Ok(());
    }
    let (_, trained) = Generator::load(&checkpoint::generator(checkpoint), &Device::Cpu)?;
    let (then, data) = (&trained.class_names, batches.dataset());
    let now = Plan::class_names(model, data);
    // A run may have begun before its classes had names.
    if then.is_empty() || then == now {
        return Ok(());
    }
    let class = then.iter().zip(now).position(|(then, now)| then != now).unwrap_or_default();
    let called = now.get(class).map_or("no name".to_owned(), |now| format!("{now:?}"));
    Err(usage(format!(
        "class {class} was {:?} in the run to resume, and is {called} now ({}): a resume needs the same \
         classes",
        then[class],
        data.source()
    )))
}

/// The experiment, after all checks that do not need the data.
fn configuration(args: &args::Train, file: &Path, budget: Budget) -> Result<Config> {
    let mut config = Config::load(file, &args.set)?;
    config.reporting.tensorboard |= args.tensorboard;
    if let Some(from) = &args.init_from {
        config.train.init = Some(InitConfig { from: from.clone(), partial: args.init_partial });
    }
    config.find_files(args.data_dir.as_deref())?;
    config.data.validate().with_context(|| file.display().to_string())?;
    config.check().with_context(|| file.display().to_string())?;
    budget.check(&Need::of_training(&config)).with_context(|| file.display().to_string())?;
    for doubt in config.doubts() {
        tracing::warn!("{}: {doubt}", file.display());
    }
    Ok(config)
}

/// Loads the training data.
pub(crate) fn batches(config: &Config, file: &Path) -> Result<Batches> {
    let Config { seed, data, model, .. } = config;
    let images = loading::load(data, Split::Train, model.image_size, model.channels)?;
    if let Some(limit) = data.limit.filter(|limit| *limit > images.len()) {
        tracing::warn!(
            "data.limit = {limit}, but there are {}: all are used",
            counted(images.len(), "image")
        );
    }
    check_images(model, &images).with_context(|| file.display().to_string())?;
    let config = BatchesConfig {
        batch_size: data.batch_size,
        seed: *seed,
        range: data.range,
        channels: model.channels,
        keep_last: LastBatch::Drop,
        flip: data.flip,
    };
    Batches::new(images, config).with_context(|| file.display().to_string())
}

/// The directory of a run.
enum Place {
    /// This directory.
    Of(PathBuf),
    /// The first free one of `runs/NAME`, `runs/NAME-2`, ...
    Numbered(String),
}

/// The run's directory, and the file of the configuration.
fn locate(args: &args::Train) -> Result<(Place, PathBuf)> {
    let name = match &args.config {
        None => DEFAULT_CONFIG.to_owned(),
        Some(file) => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let place = match (&args.out, args.resume) {
        (Some(out), _) => Place::Of(out.clone()),
        (None, false) => Place::Numbered(name),
        (None, true) => Place::Of(run_dir::last(&name)),
    };
    let file = match (&args.config, &place) {
        (Some(file), _) => file.clone(),
        (None, Place::Of(path)) if args.resume && path.join("config.toml").exists() => {
            path.join("config.toml")
        }
        (None, Place::Of(path)) if args.resume && args.out.is_some() => {
            return Err(usage(format!(
                "{} holds no config.toml to resume with: name the run's --config, or another --out",
                path.display()
            )));
        }
        (None, Place::Of(_) | Place::Numbered(_)) => Path::new(DEFAULT_CONFIG).to_owned(),
    };
    Ok((place, file))
}

fn announce(plan: &Plan, trainer: &Trainer, resume: bool) {
    let (path, steps, done) = (plan.run.path().display(), plan.horizon.steps, trainer.steps_done());
    let data = plan.batches.dataset();
    // The description is that of all images.
    let limit = plan.config.data.limit.map(|_| format!("; {} of them (data.limit)", data.len()));
    tracing::info!("data: {}{}", data.source(), limit.unwrap_or_default());
    tracing::info!(
        "generator {} parameters, discriminator {}, on {}",
        trainer.generator().params().count(),
        trainer.discriminator().params().count(),
        if plan.device.is_cpu() { "the CPU" } else { "the GPU" }
    );
    match (resume, done) {
        (false, _) => tracing::info!("training {} into {path}", counted(steps, "step")),
        (true, 0) => tracing::warn!("no checkpoint in {path} to resume from: starting with step 1"),
        (true, _) if done >= steps => tracing::info!("{path} has its {} already", counted(done, "step")),
        (true, _) => tracing::info!("going on after step {done} of {steps} in {path}"),
    }
}

/// Tells the user where the results are, or how to continue the run.
fn conclude(run: &RunDir, step: u64, outcome: Option<Outcome>, start: Instant) -> End {
    let (path, seconds) = (quoted(run.path()), start.elapsed().as_secs_f64());
    match outcome {
        Some(Outcome::Complete) => {
            tracing::info!("done: step {step}, {seconds:.0} s");
            tracing::info!("look at {}", run.samples(step).display());
            tracing::info!("draw more: {} sample {path} --count 64 --seed 1 --out more.png", program());
            End::Done
        }
        Some(Outcome::Stopped) => {
            tracing::warn!(
                "stopped after step {step}; go on with: {} train --out {path} --resume",
                program()
            );
            End::Interrupted
        }
        None => {
            tracing::info!("more: {} diagnose {path}", program());
            End::Failing
        }
    }
}
