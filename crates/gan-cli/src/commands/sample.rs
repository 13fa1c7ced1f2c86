//! `gan-cli sample`.

mod classes;
mod files;
mod latents;
mod output;

use crate::args;
use crate::config::{self, Config, Difference};
use crate::draw::Drawing;
use crate::exit::{End, usage};
use crate::memory::Budget;
use crate::signals::Stop;
use crate::terminal::counted;
use crate::{device, origin, run_dir};
use anyhow::{Result, bail};
use candle_core::Device;
use gan_models::{Generator, ModelConfig, ModelError, Provenance};
use gan_train::checkpoint;
use output::{Look, Output};
use std::path::{Path, PathBuf};

const DEFAULT_COUNT: usize = 64;

pub(crate) fn run(args: &args::Sample, budget: Budget) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let output = Output::choose(args.out.as_deref(), args.replace)?;
    for (option, is_given) in [("--columns", args.columns.is_some()), ("--scale", args.scale.is_some())] {
        if is_given && !output.is_grid() {
            let found = output.path().display();
            return Err(usage(format!("{option}: expected --out X.png, which is a grid, found {found}")));
        }
    }
    let file = locate(&args.from)?;
    args.latents.iter().try_for_each(|latents| super::check_option("--latents", latents))?;
    output.protect(&file, args.latents.as_deref())?;
    check_outside_data(&file, output.path())?;
    let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &device)?;
    let latents = args
        .latents
        .as_deref()
        .map(|path| latents::read(path, args.class.is_some(), &generator, &device))
        .transpose()?;
    let count =
        match (args.count.map(|count| count as usize), latents.as_ref().map(|z| z.dim(0)).transpose()?) {
            (Some(count), Some(rows)) if rows != count => {
                return Err(usage(format!("--count {count}, but --latents holds {rows}")));
            }
            (count, rows) => count.or(rows),
        };
    let names = trained.map(|trained| trained.class_names).unwrap_or_default();
    let chosen = args.class.as_ref().map(|class| class.choose(count, &generator, &names)).transpose()?;
    let mut images = match latents {
        Some(latents) => Drawing::of_latents(&generator, latents)?,
        None => Drawing::seeded(&generator, args.seed, count.unwrap_or(DEFAULT_COUNT)),
    };
    let mut columns = args.columns.map(|columns| columns as usize);
    if let Some(chosen) = chosen {
        images = images.of_classes(chosen.labels, chosen.count);
        columns = columns.or(chosen.columns);
    }
    images = images.truncated(args.truncation)?;
    let count = images.count();
    let look = Look { columns, scale: args.scale.unwrap_or(1).into() };
    output.write(images, look, budget, &Stop::on_signals()?)?;
    let order = classes::order(args, &generator, count, &names);
    tracing::info!("{} in {}{order}", counted(count, "image"), output.path().display());
    Ok(End::Done)
}

/// Refuses a place among the pictures that the generator was trained on. A resume would find other
/// data there.
pub(super) fn check_outside_data(generator: &Path, out: &Path) -> Result<()> {
    let Some(config) = run_dir::config_around(generator) else { return Ok(()) };
    // A configuration that cannot be read is reported when it is needed.
    let data = Config::load(&config, &[]).ok().map(|config| config.data);
    let dir = data.filter(|data| data.name.is_folder()).and_then(|data| data.dir);
    dir.map_or(Ok(()), |dir| super::check_outside(&dir, out))
}

/// The file of the generator: `from` itself, or the generator of the run `from`.
pub(super) fn locate(from: &Path) -> Result<PathBuf> {
    super::check_exists(from)?;
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let file = run_dir::generator_to_draw_from(from);
    if !file.exists() {
        return Err(usage(format!(
            "{} holds no generator.safetensors: not a run, or one without a checkpoint yet",
            from.display()
        )));
    }
    Ok(file)
}

/// The generator of `file`, which [`locate`] found for `from`, and where its weights come from if
/// the file says it. The file says which model it is, or the configuration does. If both say it, or
/// if `from` is a run with a configuration or a file in one, they must agree.
pub(crate) fn load(
    from: &Path,
    file: &Path,
    config: Option<&Path>,
    device: &Device,
) -> Result<(Generator, Option<Provenance>)> {
    let model = config.map(|config| Ok::<_, anyhow::Error>(Config::load(config, &[])?.model)).transpose()?;
    // The average in a checkpoint has the model of the generator beside it.
    let read = match checkpoint::of_average(file) {
        Some(checkpoint) => Ok(checkpoint::sampler(checkpoint, device)?),
        None => Generator::load(file, device),
    };
    let (generator, trained) = match (read, &model) {
        (Err(ModelError::Undescribed { .. }), Some(model)) => {
            return Ok((Generator::load_state_dict(file, model, device)?, None));
        }
        (Err(error @ ModelError::Undescribed { .. }), None) => {
            return Err(usage(format!("{error}; for a PyTorch state dict, --config says which model it is")));
        }
        (read, _) => read?,
    };
    let named = file.parent().and_then(checkpoint::step_of);
    if let Some(named) = named.filter(|named| *named != trained.step) {
        let found = trained.step;
        bail!("{}: a generator of step {found}, in the directory of step {named}", file.display());
    }
    if let (Some(model), Some(config)) = (&model, config) {
        let advice = "leave --config out, because the file contains its model";
        agree(file, generator.config(), config, model, advice)?;
    }
    // A foreign file in the directory of a run would be drawn in place of the run's own.
    let of_run = Some(run_dir::config(from)).filter(|config| config.is_file());
    if let Some(of_run) = of_run.or_else(|| run_dir::config_around(from))
        && let Ok(run) = Config::load(&of_run, &[])
    {
        agree(file, generator.config(), &of_run, &run.model, "the file does not belong to this run")?;
        origin::check(file, &trained, &of_run, &run)?;
    }
    Ok((generator, Some(trained)))
}

/// Checks that the model in a file of weights is that of a configuration.
fn agree(
    file: &Path,
    found: &ModelConfig,
    config: &Path,
    expected: &ModelConfig,
    advice: &str,
) -> Result<()> {
    let Some(Difference { key, expected, found }) = config::difference(expected, found)? else {
        return Ok(());
    };
    let (file, config) = (file.display(), config.display());
    Err(usage(format!("{file}: {key}: expected {expected} as in {config}, found {found}: {advice}")))
}
