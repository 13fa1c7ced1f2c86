//! `gan-cli export`.

use super::output::{self, Place};
use super::sample::{check_outside_data, load, locate};
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
use gan_models::{Discriminator, Generator, Provenance, read_weights, tensor_bytes};
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
    let stop = Stop::on_signals()?;
    match args.network {
        Network::Generator if args.format == ExportFormat::Hub => {
            write_files(out, for_hub(args)?, &stop)?;
        }
        Network::Discriminator if args.format == ExportFormat::Hub => {
            return Err(usage("--format hub: expected the generator"));
        }
        Network::Generator => {
            let file = locate(&args.from)?;
            check_outside_data(&file, out)?;
            let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &Device::Cpu)?;
            let trained = trained.unwrap_or_default();
            if args.format == ExportFormat::Onnx {
                let network = as_onnx(&generator, &trained)?;
                write_onnx(out, (&file, "the generator itself"), &network, &stop)?;
            } else {
                write_files(out, as_pytorch(&generator, &trained)?, &stop)?;
            }
        }
        Network::Discriminator => {
            let (file, discriminator) = discriminator(&args.from)?;
            check_outside_data(&file, out)?;
            let name = file.parent().and_then(Path::file_name).unwrap_or_default();
            let about = format!("from {}", name.display());
            if args.format == ExportFormat::Onnx {
                let network = onnx::discriminator(&discriminator, &[("about".to_owned(), about)])?;
                write_onnx(out, (&file, "the discriminator itself"), &network, &stop)?;
            } else {
                let (program, weights) = ("discriminator.py", "discriminator.safetensors");
                let text = pytorch::discriminator(discriminator.config(), &about, weights);
                let bytes = tensor_bytes(&file, discriminator.params().state_dict())?;
                write_files(out, vec![(program, text.into_bytes()), (weights, bytes)], &stop)?;
            }
        }
    }
    tracing::info!("{} in {}", args.network, out.display());
    Ok(End::Done)
}

/// The file of an ONNX network.
fn write_onnx(out: &Path, input: (&Path, &str), bytes: &[u8], stop: &Stop) -> Result<()> {
    let place = Place::new(out.to_owned());
    place.protect(&[input])?;
    place.protect_foreign(&["gan-cli"])?;
    output::prepare_parent(out)?;
    output::write(&place, bytes, stop)
}

type Files = Vec<(&'static str, Vec<u8>)>;

/// A program of PyTorch and its weights.
fn as_pytorch(generator: &Generator, trained: &Provenance) -> Result<Files> {
    let (program, weights) = ("generator.py", "generator.safetensors");
    let text = pytorch::generator(generator.config(), &about(trained), weights);
    Ok(vec![(program, text.into_bytes()), (weights, generator.to_bytes(trained)?)])
}

/// Writes files into a directory, all of them or none. None of them may exist.
fn write_files(out: &Path, files: Files, stop: &Stop) -> Result<()> {
    if out.is_file() {
        return Err(usage(format!("--out: expected a directory, found the file {}", out.display())));
    }
    for (name, _) in &files {
        let file = out.join(name);
        if file.symlink_metadata().is_ok() {
            return Err(usage(format!("--out: {} exists already", file.display())));
        }
        Place::new(file).protect(&[])?;
    }
    output::fill_with_files(out, stop, &[], |directory| {
        let write = |(name, bytes): (&str, Vec<u8>)| {
            stop.check()?;
            let file = directory.join(name);
            std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
            Ok(name.to_owned())
        };
        files.into_iter().map(write).collect()
    })
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

/// The weights, both programs, samples and the card of a run.
fn for_hub(args: &args::Export) -> Result<Files> {
    let run = &args.from;
    if !run.is_dir() {
        return Err(usage(format!("--format hub: expected the directory of a run, found {}", run.display())));
    }
    let record = Record::read(run)?;
    let file = locate(run)?;
    check_outside_data(&file, &args.out)?;
    let (generator, trained) = load(run, &file, args.config.as_deref(), &Device::Cpu)?;
    let trained = trained.unwrap_or_default();
    let [channels, height, width] = generator.config().image_shape();
    let mut grid = GridBuilder::new(DRAWN, draw::columns(DRAWN), channels, height, width)?;
    for images in Drawing::seeded(&generator, 0, DRAWN).chunks() {
        grid.push(&images?)?;
    }
    // Places on this machine mean nothing elsewhere.
    let mut settings = record.config.clone();
    (settings.data.dir, settings.train.init) = (None, None);
    if let Some(evaluate) = &mut settings.reporting.evaluate {
        evaluate.features = evaluate.features.take().filter(|features| judge::is_name(features));
    }
    let license = args.license.as_deref();
    let text = hub::card(
        &record,
        trained.step,
        generator.config(),
        &about(&trained),
        &trained.class_names,
        license,
    )?;
    let mut files = as_pytorch(&generator, &trained)?;
    files.push(("generator.onnx", as_onnx(&generator, &trained)?));
    files.push(("samples.png", grid.finish().to_png()?));
    files.push(("config.toml", settings.to_toml()?.into_bytes()));
    files.push(("README.md", text.into_bytes()));
    Ok(files)
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
