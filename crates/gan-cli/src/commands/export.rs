//! `gan-cli export`.

use super::output::{self, Place};
use super::sample::{load, locate};
use crate::args::{self, ExportFormat, Network};
use crate::config::Config;
use crate::exit::{End, usage};
use crate::signals::Stop;
use crate::{export, run_dir};
use anyhow::{Context, Result};
use candle_core::Device;
use gan_models::{Discriminator, Generator, Provenance, read_weights};
use gan_train::checkpoint;
use std::path::Path;

pub(crate) fn run(args: &args::Export) -> Result<End> {
    let ExportFormat::Onnx = args.format;
    let out = &args.out;
    run_dir::check_link(out)?;
    if output::extension(out).is_none_or(|extension| extension != "onnx") {
        return Err(usage(format!("--out: expected X.onnx, found {}", out.display())));
    }
    let place = Place::new(out.clone());
    let bytes = match args.network {
        Network::Generator => {
            let file = locate(&args.from)?;
            place.protect(&[(&file, "the generator itself")])?;
            let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &Device::Cpu)?;
            export::generator(&generator, &about(&file, generator_about(&generator, trained.as_ref())?))?
        }
        Network::Discriminator => {
            place.protect(&[])?;
            let (file, discriminator) = discriminator(&args.from)?;
            export::discriminator(&discriminator, &about(&file, vec![]))?
        }
    };
    output::prepare_parent(out)?;
    output::write(out, &bytes, &Stop::on_signals()?)?;
    tracing::info!("{} in {}", args.network, out.display());
    Ok(End::Done)
}

/// The discriminator of a run's newest checkpoint, and its file.
fn discriminator(run: &Path) -> Result<(std::path::PathBuf, Discriminator)> {
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

/// What a file says about its origin.
fn about(file: &Path, more: Vec<(String, String)>) -> Vec<(String, String)> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::iter::once(("weights".to_owned(), name)).chain(more).collect()
}

fn generator_about(generator: &Generator, trained: Option<&Provenance>) -> Result<Vec<(String, String)>> {
    let mut about = vec![("model".to_owned(), serde_json::to_string(generator.config())?)];
    if let Some(Provenance { data, step, images, seed, loss, class_names, .. }) = trained {
        about.extend([
            ("data".to_owned(), data.clone()),
            ("step".to_owned(), step.to_string()),
            ("images".to_owned(), images.to_string()),
            ("seed".to_owned(), seed.to_string()),
            ("loss".to_owned(), loss.clone()),
        ]);
        if !class_names.is_empty() {
            about.push(("classes".to_owned(), serde_json::to_string(class_names)?));
        }
    }
    Ok(about)
}
