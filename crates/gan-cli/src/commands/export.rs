//! `gan-cli export`.

use super::output::{self, Place};
use super::sample::{load, locate};
use crate::args::{self, ExportFormat, Network};
use crate::config::Config;
use crate::draw::{self, Drawing};
use crate::exit::{End, usage};
use crate::export::{hub, onnx, pytorch};
use crate::judge;
use crate::report::Record;
use crate::run_dir;
use crate::signals::Stop;
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::GridBuilder;
use gan_models::{Discriminator, Generator, Provenance, read_weights, write_tensors};
use gan_train::checkpoint;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &args::Export) -> Result<End> {
    let out = &args.out;
    run_dir::check_link(out)?;
    if args.format == ExportFormat::Onnx && output::extension(out).is_none_or(|extension| extension != "onnx")
    {
        return Err(usage(format!("--out: expected X.onnx, found {}", out.display())));
    }
    if args.license.is_some() && args.format != ExportFormat::Hub {
        return Err(usage("--license: expected --format hub with it"));
    }
    match args.network {
        Network::Generator if args.format == ExportFormat::Hub => write_for_hub(args)?,
        Network::Discriminator if args.format == ExportFormat::Hub => {
            return Err(usage("--format hub: expected the generator"));
        }
        Network::Generator => {
            let file = locate(&args.from)?;
            let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &Device::Cpu)?;
            let inputs = [(&*file, "the generator itself")];
            write_generator(args.format, out, &inputs, &generator, trained.unwrap_or_default())?;
        }
        Network::Discriminator => {
            let (file, discriminator) = discriminator(&args.from)?;
            write_discriminator(args.format, out, &file, &discriminator)?;
        }
    }
    tracing::info!("{} in {}", args.network, out.display());
    Ok(End::Done)
}

fn write_generator(
    format: ExportFormat,
    out: &Path,
    inputs: &[(&Path, &str)],
    generator: &Generator,
    trained: Provenance,
) -> Result<()> {
    let about = about(&trained);
    match format {
        ExportFormat::Onnx => write(out, inputs, &as_onnx(generator, &trained)?),
        ExportFormat::Pytorch | ExportFormat::Hub => {
            let [program, weights] = free(out, ["generator.py", "generator.safetensors"])?;
            let text = pytorch::generator(generator.config(), &about, "generator.safetensors");
            write(&program, &[], text.as_bytes())?;
            Ok(generator.save(&weights, &trained)?)
        }
    }
}

fn write_discriminator(
    format: ExportFormat,
    out: &Path,
    file: &Path,
    discriminator: &Discriminator,
) -> Result<()> {
    let about = format!("from {}", file.parent().and_then(Path::file_name).unwrap_or_default().display());
    match format {
        ExportFormat::Onnx => write(
            out,
            &[(file, "the discriminator itself")],
            &onnx::discriminator(discriminator, &[("about".to_owned(), about)])?,
        ),
        ExportFormat::Pytorch | ExportFormat::Hub => {
            let [program, weights] = free(out, ["discriminator.py", "discriminator.safetensors"])?;
            let text = pytorch::discriminator(discriminator.config(), &about, "discriminator.safetensors");
            write(&program, &[], text.as_bytes())?;
            Ok(write_tensors(&weights, discriminator.params().state_dict(), None)?)
        }
    }
}

fn as_onnx(generator: &Generator, trained: &Provenance) -> Result<Vec<u8>> {
    let mut pairs = vec![("model".to_owned(), serde_json::to_string(generator.config())?)];
    pairs.push(("about".to_owned(), about(trained)));
    if !trained.class_names.is_empty() {
        pairs.push(("classes".to_owned(), serde_json::to_string(&trained.class_names)?));
    }
    onnx::generator(generator, &pairs)
}

/// Number of images in the picture of the card.
const DRAWN: usize = 64;

/// Writes the weights, both programs, samples and the card.
fn write_for_hub(args: &args::Export) -> Result<()> {
    let (run, out) = (&args.from, &args.out);
    if !run.is_dir() {
        return Err(usage(format!("--format hub: expected the directory of a run, found {}", run.display())));
    }
    let record = Record::read(run)?;
    let file = locate(run)?;
    let (generator, trained) = load(run, &file, args.config.as_deref(), &Device::Cpu)?;
    let trained = trained.unwrap_or_default();
    let [card, network, samples, config] =
        free(out, ["README.md", "generator.onnx", "samples.png", "config.toml"])?;
    write_generator(ExportFormat::Pytorch, out, &[], &generator, trained.clone())?;
    write(&network, &[], &as_onnx(&generator, &trained)?)?;
    let [channels, height, width] = generator.config().image_shape();
    let mut grid = GridBuilder::new(DRAWN, draw::columns(DRAWN), channels, height, width)?;
    for images in Drawing::seeded(&generator, 0, DRAWN).chunks() {
        grid.push(&images?)?;
    }
    write(&samples, &[], &grid.finish().to_png()?)?;
    // Places on this machine mean nothing elsewhere.
    let mut settings = record.config.clone();
    (settings.data.dir, settings.train.init) = (None, None);
    if let Some(evaluate) = &mut settings.reporting.evaluate {
        evaluate.features = evaluate.features.take().filter(|features| judge::is_name(features));
    }
    write(&config, &[], settings.to_toml()?.as_bytes())?;
    let license = args.license.as_deref();
    let text = hub::card(&record, generator.config(), &about(&trained), &trained.class_names, license)?;
    write(&card, &[], text.as_bytes())
}

/// The files of these names in a directory, which must not exist.
fn free<const N: usize>(out: &Path, names: [&str; N]) -> Result<[PathBuf; N]> {
    if out.is_file() {
        return Err(usage(format!("--out: expected a directory, found the file {}", out.display())));
    }
    let files = names.map(|name| out.join(name));
    for file in &files {
        if file.symlink_metadata().is_ok() {
            return Err(usage(format!("--out: {} exists already", file.display())));
        }
        Place::new(file.clone()).protect(&[])?;
    }
    Ok(files)
}

fn write(out: &Path, inputs: &[(&Path, &str)], bytes: &[u8]) -> Result<()> {
    let place = Place::new(out.to_owned());
    place.protect(inputs)?;
    place.protect_foreign(&["gan-cli"])?;
    output::prepare_parent(out)?;
    output::write(out, bytes, &Stop::on_signals()?)
}

/// The discriminator of a run's newest checkpoint, and its file.
fn discriminator(run: &Path) -> Result<(PathBuf, Discriminator)> {
    let newest = checkpoint::newest_of_others(&run.join("checkpoints"))?;
    let newest = newest.filter(|_| run_dir::config(run).is_file());
    let newest = newest.ok_or_else(|| {
        let found = run.display();
        usage(format!(
            "--network discriminator: expected the directory of a run with a checkpoint, found {found}"
        ))
    })?;
    let config = Config::load(&run_dir::config(run), &[])?;
    checkpoint::check(&newest, &config.settings()?)?;
    let file = checkpoint::discriminator(&newest);
    let network = Discriminator::from_tensors(&config.model, read_weights(&file)?, &Device::Cpu);
    Ok((file.clone(), network.with_context(|| file.display().to_string())?))
}

/// Where the weights come from, in one line.
fn about(Provenance { data, step, images, seed, loss, class_names, .. }: &Provenance) -> String {
    if data.is_empty() {
        return "weights without a description".to_owned();
    }
    let classes =
        if class_names.is_empty() { String::new() } else { format!("; classes: {}", class_names.join(", ")) };
    let text =
        format!("trained on {data} for {step} steps ({images} images), {loss} loss, seed {seed}{classes}");
    crate::terminal::escaped(&text, &[])
}
