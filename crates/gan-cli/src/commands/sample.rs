//! `gan-cli sample`.

mod files;
mod output;

use crate::args;
use crate::config::Config;
use crate::draw::{Drawing, Labels};
use crate::exit::{End, usage};
use crate::memory::Budget;
use crate::signals::Stop;
use crate::{device, npy, run_dir};
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_models::{Generator, ModelError, Provenance};
use output::Output;
use std::path::{Path, PathBuf};

const DEFAULT_COUNT: usize = 64;
/// Number of images in each row with `--class all`.
const DEFAULT_OF_EACH: usize = 10;

pub(crate) fn run(args: &args::Sample, budget: Budget) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let output = Output::choose(args.out.as_deref(), args.replace)?;
    let file = locate(&args.from)?;
    output.protect(&file, args.latents.as_deref())?;
    let (generator, _) = load(&file, args.config.as_deref(), &device)?;
    let latents = args
        .latents
        .as_deref()
        .map(|path| read_latents(path, args.class, &generator, &device))
        .transpose()?;
    let count =
        match (args.count.map(|count| count as usize), latents.as_ref().map(|z| z.dim(0)).transpose()?) {
            (Some(count), Some(rows)) if rows != count => {
                return Err(usage(format!("--count {count}, but --latents holds {rows}")));
            }
            (count, rows) => count.or(rows),
        };
    let chosen = args.class.map(|class| class.choose(count, &generator)).transpose()?;
    let mut images = match latents {
        Some(latents) => Drawing::of_latents(&generator, latents)?,
        None => Drawing::seeded(&generator, args.seed, count.unwrap_or(DEFAULT_COUNT)),
    };
    let mut columns = args.columns.map(std::num::NonZero::get);
    if let Some(chosen) = chosen {
        images = images.of_classes(chosen.labels, chosen.count);
        columns = columns.or(chosen.columns);
    }
    images = images.truncated(args.truncation)?;
    let count = images.count();
    output.write(images, columns, budget, &Stop::on_signals()?)?;
    tracing::info!("{count} images in {}", output.path().display());
    Ok(End::Done)
}

/// The images that `--class` selects: how many, of which classes, and the columns of their grid if
/// the classes determine them.
struct Chosen {
    labels: Labels,
    count: usize,
    columns: Option<usize>,
}

impl args::Class {
    /// Selects `count` images of one class, or of each class. In the second case the grid has one
    /// row per class.
    fn choose(self, count: Option<usize>, generator: &Generator) -> Result<Chosen> {
        let Some(classes) = generator.config().latents().classes() else {
            return Err(usage("--class: this generator was trained without classes (model.classes)"));
        };
        Ok(match self {
            Self::One(class) if usize::from(class) < classes => {
                Chosen { labels: Labels::One(class), count: count.unwrap_or(DEFAULT_COUNT), columns: None }
            }
            Self::One(class) => {
                return Err(usage(format!("--class {class}: the generator knows 0 to {}", classes - 1)));
            }
            Self::All => {
                let each = count.unwrap_or(DEFAULT_OF_EACH);
                Chosen { labels: Labels::Rows(each), count: classes * each, columns: Some(each) }
            }
        })
    }
}

/// The file of the generator: `from` itself, or the generator of the run `from`.
pub(super) fn locate(from: &Path) -> Result<PathBuf> {
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let file = run_dir::generator_to_draw_from(from);
    if !file.exists() {
        bail!(
            "{} holds no generator.safetensors: not a run, or one without a checkpoint yet",
            from.display()
        );
    }
    Ok(file)
}

/// The generator of `file`, and where its weights come from if the file says it. The configuration
/// says which model it is. Without one, the file must say it.
pub(super) fn load(
    file: &Path,
    config: Option<&Path>,
    device: &Device,
) -> Result<(Generator, Option<Provenance>)> {
    if let Some(config) = config {
        let model = Config::load(config, &[])?.model;
        return Ok((Generator::load_state_dict(file, &model, device)?, None));
    }
    match Generator::load(file, device) {
        Ok((generator, trained)) => Ok((generator, Some(trained))),
        Err(error @ ModelError::Undescribed { .. }) => {
            bail!("{error}; for a PyTorch state dict, --config says which model it is")
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads rows for the generator. They contain their classes if the generator has classes and
/// `--class` does not give them.
fn read_latents(
    path: &Path,
    class: Option<args::Class>,
    generator: &Generator,
    device: &Device,
) -> Result<Tensor> {
    let at = || format!("--latents {}", path.display());
    let (latents, dim) = (generator.config().latents(), generator.config().latent_dim);
    let (width, expected) = match (latents.classes(), class) {
        (None, _) => (dim, format!("floats [N, {dim}]")),
        (Some(_), Some(_)) => (dim, format!("floats [N, {dim}] with --class")),
        (Some(classes), None) => {
            let width = latents.width();
            let and = format!("the last {classes} a 1 for the class and zeros, or [N, {dim}] with --class");
            (width, format!("floats [N, {width}], {and}"))
        }
    };
    let array = npy::read(path, |header| {
        let fits = matches!(header.shape[..], [n, side] if n > 0 && side == width as u64);
        if !fits || header.number.kind() != npy::Kind::Float {
            bail!("expected {expected}, found {header}");
        }
        Ok(())
    });
    let values = array.with_context(at)?.values;
    let rows = values.len() / width;
    Ok(Tensor::from_vec(values, (rows, width), device)?)
}
