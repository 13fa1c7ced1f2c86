//! `gan-cli export`.

use super::output::{self, Place};
use super::sample::{load, locate};
use crate::args::{self, ExportFormat, Network};
use crate::config::Config;
use crate::exit::{End, usage};
use crate::export::{onnx, pytorch};
use crate::run_dir;
use crate::signals::Stop;
use anyhow::{Context, Result};
use candle_core::Device;
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
    match args.network {
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
        ExportFormat::Onnx => {
            let mut pairs = vec![("model".to_owned(), serde_json::to_string(generator.config())?)];
            pairs.push(("about".to_owned(), about));
            if !trained.class_names.is_empty() {
                pairs.push(("classes".to_owned(), serde_json::to_string(&trained.class_names)?));
            }
            write(out, inputs, &onnx::generator(generator, &pairs)?)
        }
        ExportFormat::Pytorch => {
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
        ExportFormat::Pytorch => {
            let [program, weights] = free(out, ["discriminator.py", "discriminator.safetensors"])?;
            let text = pytorch::discriminator(discriminator.config(), &about, "discriminator.safetensors");
            write(&program, &[], text.as_bytes())?;
            Ok(write_tensors(&weights, discriminator.params().state_dict(), None)?)
        }
    }
}

/// The files of these names in a directory, which must not exist.
fn free(out: &Path, names: [&str; 2]) -> Result<[PathBuf; 2]> {
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
    Place::new(out.to_owned()).protect(inputs)?;
    output::prepare_parent(out)?;
    output::write(out, bytes, &Stop::on_signals()?)
}

/// The discriminator of a run's newest checkpoint, and its file.
fn discriminator(run: &Path) -> Result<(PathBuf, Discriminator)> {
    let newest = run_dir::newest_checkpoint(run).filter(|_| run_dir::config(run).is_file());
    let newest = newest.ok_or_else(|| {
        let found = run.display();
        usage(format!(
            "--network discriminator: expected the directory of a run with a checkpoint, found {found}"
        ))
    })?;
    let config = Config::load(&run_dir::config(run), &[])?;
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
