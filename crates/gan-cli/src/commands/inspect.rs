//! `gan-cli inspect`.

use super::sample::{load, locate};
use crate::args;
use crate::config::{Config, built_in};
use crate::exit::{End, usage};
use crate::memory::Need;
use crate::terminal;
use anyhow::{Context, Result};
use candle_core::Device;
use gan_models::{Layer, ModelConfig, Provenance};
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn run(args: &args::Inspect) -> Result<End> {
    let from = &args.from;
    let text = if is_config(from) {
        if args.config.is_some() {
            return Err(usage(format!(
                "--config: expected a file of weights with it, found {}",
                from.display()
            )));
        }
        let config = Config::load(from, &[])?;
        config.check().with_context(|| from.display().to_string())?;
        format!("{}\nmemory for training: about {}\n", describe(&config.model)?, Need::of_training(&config))
    } else {
        let (generator, trained) = load(from, &locate(from)?, args.config.as_deref(), &Device::Cpu)?;
        let origin = trained.as_ref().map(provenance).unwrap_or_default();
        format!("{origin}{}", describe(generator.config())?)
    };
    terminal::print(&text)?;
    Ok(End::Done)
}

fn is_config(from: &Path) -> bool {
    from.extension().is_some_and(|e| e == "toml") || (built_in(from).is_some() && !from.exists())
}

pub(crate) fn provenance(trained: &Provenance) -> String {
    let Provenance { data, step, images, seed, loss, class_names, settings: _, class_counts: _ } = trained;
    // A line break could forge a line of the report.
    let [data, loss] = [data, loss].map(|name| terminal::escaped(name, &[]));
    let names = class_names.iter().map(|name| terminal::escaped(name, &[])).collect::<Vec<_>>();
    let classes =
        if names.is_empty() { String::new() } else { format!("classes, from 0: {}\n", names.join(", ")) };
    let (steps, images) = (terminal::counted(*step, "step"), terminal::counted(*images, "image"));
    format!("trained on {data}: {steps}, {images}, {loss} loss, seed {seed}\n{classes}\n")
}

pub(crate) fn describe(model: &ModelConfig) -> Result<String> {
    let mut text = String::new();
    let networks = [
        ("generator", model.generator_layers(), model.generator_input()),
        ("discriminator", model.discriminator_layers(), model.discriminator_input()),
    ];
    for (i, (name, layers, input)) in networks.into_iter().enumerate() {
        if i > 0 {
            writeln!(text)?;
        }
        network(&mut text, name, &layers, input)?;
    }
    Ok(text)
}

fn network(text: &mut String, name: &str, layers: &[Layer], input: Vec<usize>) -> Result<()> {
    let total: usize = layers.iter().map(Layer::parameters).sum();
    writeln!(text, "{name}: {total} parameters, input {input:?}")?;
    let width = layers.iter().map(|layer| layer.to_string().len()).max().unwrap_or_default();
    let mut shape = input;
    for (i, layer) in layers.iter().enumerate() {
        shape = layer.output_shape(&shape).unwrap_or_default();
        let output = format!("{shape:?}");
        let parameters = match layer.parameters() {
            0 => String::new(),
            n => n.to_string(),
        };
        let line = format!("  {i:>2}  {:<width$}  {output:<16} {parameters:>9}", layer.to_string());
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}
