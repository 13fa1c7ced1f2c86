//! `gan-cli sample`.

mod files;
mod latents;
mod output;

use crate::args;
use crate::config::{self, Config, Difference};
use crate::draw::{Drawing, Labels};
use crate::exit::{End, usage};
use crate::memory::Budget;
use crate::signals::Stop;
use crate::terminal::counted;
use crate::{device, origin, run_dir};
use anyhow::Result;
use candle_core::Device;
use gan_models::{Generator, ModelConfig, ModelError, Provenance};
use output::Output;
use std::path::{Path, PathBuf};

const DEFAULT_COUNT: usize = 64;
/// Number of images in each row with `--class all`.
const DEFAULT_OF_EACH: usize = 10;
/// Number of classes that an error names.
const NAMED: usize = 20;

pub(crate) fn run(args: &args::Sample, budget: Budget) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let output = Output::choose(args.out.as_deref(), args.replace)?;
    let file = locate(&args.from)?;
    output.protect(&file, args.latents.as_deref())?;
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
    let mut columns = args.columns.map(std::num::NonZero::get);
    if let Some(chosen) = chosen {
        images = images.of_classes(chosen.labels, chosen.count);
        columns = columns.or(chosen.columns);
    }
    images = images.truncated(args.truncation)?;
    let count = images.count();
    output.write(images, columns, budget, &Stop::on_signals()?)?;
    tracing::info!("{} in {}", counted(count, "image"), output.path().display());
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
    fn choose(&self, count: Option<usize>, generator: &Generator, names: &[String]) -> Result<Chosen> {
        let Some(classes) = generator.config().latents().classes() else {
            return Err(usage("--class: this generator was trained without classes (model.classes)"));
        };
        Ok(match self {
            Self::One(class) => {
                let class = label(class, classes, names)?;
                Chosen { labels: Labels::One(class), count: count.unwrap_or(DEFAULT_COUNT), columns: None }
            }
            Self::All => {
                if names.iter().any(|name| name == "all") {
                    tracing::warn!("--class all draws every class: {NAME}:all draws the class of this name");
                }
                let each = count.unwrap_or(DEFAULT_OF_EACH);
                Chosen { labels: Labels::Rows(each), count: classes * each, columns: Some(each) }
            }
        })
    }
}

/// The label of a class by its name or its number: see [`args::Sample::class`].
fn label(class: &str, classes: usize, names: &[String]) -> Result<u16> {
    let called = |name: &str| {
        let mut same = (0..names.len()).filter(|&label| names[label].eq_ignore_ascii_case(name));
        let exactly = names.iter().position(|other| other == name);
        exactly.or_else(|| same.next().filter(|_| same.next().is_none()))
    };
    let numbered = |number: &str| number.parse().ok().filter(|&number: &usize| number < classes);
    let is_name = names.iter().any(|name| name == class);
    let (name, number) = match class.split_once(':') {
        Some((NAME, name)) if !is_name => (called(name), None),
        Some((NUMBER, number)) if !is_name => (None, numbered(number)),
        _ => (called(class), numbered(class)),
    };
    match (name, number) {
        (Some(name), Some(number)) if name != number => Err(usage(format!(
            "--class {class}: {class} is the name of class {name}, and class {number} is called {:?}: say \
             {NAME}:{class} or {NUMBER}:{class}",
            names[number]
        ))),
        (Some(label), _) | (None, Some(label)) => Ok(label as u16),
        (None, None) => Err(no_class(class, classes, names)),
    }
}

/// What can be in front of a class, if its name is another's number.
const NAME: &str = "name";
const NUMBER: &str = "number";

/// The error for a class that does not exist.
fn no_class(class: &str, classes: usize, names: &[String]) -> anyhow::Error {
    let last = classes - 1;
    if names.iter().enumerate().all(|(label, name)| *name == label.to_string()) {
        return usage(format!("--class {class}: expected a class from 0 to {last}, or `all`"));
    }
    let known: Vec<_> = names.iter().take(NAMED).map(String::as_str).collect();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    usage(format!("--class {class}: expected {}{more}, 0 to {last}, or `all`", known.join(", ")))
}

/// The file of the generator: `from` itself, or the generator of the run `from`.
pub(super) fn locate(from: &Path) -> Result<PathBuf> {
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
pub(super) fn load(
    from: &Path,
    file: &Path,
    config: Option<&Path>,
    device: &Device,
) -> Result<(Generator, Option<Provenance>)> {
    let model = config.map(|config| Ok::<_, anyhow::Error>(Config::load(config, &[])?.model)).transpose()?;
    let (generator, trained) = match (Generator::load(file, device), &model) {
        (Err(ModelError::Undescribed { .. }), Some(model)) => {
            return Ok((Generator::load_state_dict(file, model, device)?, None));
        }
        (Err(error @ ModelError::Undescribed { .. }), None) => {
            return Err(usage(format!("{error}; for a PyTorch state dict, --config says which model it is")));
        }
        (loaded, _) => loaded?,
    };
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

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_class_is_named_or_numbered_and_never_guessed() {
        let names = ["0", "1", "10", "2", "Cat", "name:1", "number:0"].map(str::to_owned);
        let label = |class: &str| label(class, names.len(), &names).map_err(|error| error.to_string());
        for (class, expected) in [
            ("0", 0),
            ("1", 1),
            ("10", 2),
            ("3", 3),
            ("name:2", 3),
            ("number:2", 2),
            ("cat", 4),
            ("name:cat", 4),
            ("name:1", 5),
            ("number:0", 6),
            ("name:name:1", 5),
        ] {
            assert_eq!(label(class), Ok(expected), "{class}");
        }
        let expected =
            "--class 2: 2 is the name of class 3, and class 2 is called \"10\": say name:2 or number:2";
        assert_eq!(label("2").unwrap_err(), expected);
        for class in ["number:7", "name:3", "dog", "7", "number:cat"] {
            let error = label(class).unwrap_err();
            assert!(error.starts_with(&format!("--class {class}: expected 0, 1, 10, 2, Cat, ")), "{error}");
        }
    }
}
