//! The networks and the training from a TOML file, for own programs that want to be configured. Without an
//! argument it uses the text below. The file docs/configuration.md of the repository lists the keys; those
//! about data and logs belong to gan-cli.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::Result;
use candle_core::Device;
use gan_models::ModelConfig;
use gan_train::{TrainConfig, TrainError, Trainer, fit, rng::Stream};

const TEXT: &str = r#"
seed = 0

[model]
arch = "mlp"
latent-dim = 8
channels = 1
image-size = 8

[model.generator]
widths = [32]
activation = "leaky-relu"
negative-slope = 0.2

[model.discriminator]
widths = [32]
activation = "leaky-relu"
negative-slope = 0.2

[train]
steps = 200
loss = "hinge"

[train.generator]
lr = 2e-4
betas = [0.5, 0.999]

[train.discriminator]
lr = 2e-4
betas = [0.5, 0.999]
"#;

/// An own configuration can have more tables.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    seed: u64,
    model: ModelConfig,
    train: TrainConfig,
}

fn main() -> Result<()> {
    let text = std::env::args().nth(1).map(std::fs::read_to_string).transpose()?;
    let Config { seed, model, train } = toml::from_str(text.as_deref().unwrap_or(TEXT))?;
    // These checks name the key.
    model.validate()?;
    train.validate()?;
    let device = Device::Cpu;
    let (size, channels) = (model.image_size, model.channels);
    // Noise stands for the images of an own data set.
    let real = |step| Stream::new(7, "data", step).uniform(-1., 1., (16, channels, size, size), &device);
    let mut trainer = Trainer::new(&model, &train, seed, &device)?;
    // The length can also be given in epochs, for which the number of batches in an epoch is needed.
    let steps = train.steps.ok_or_else(|| TrainError::config("train.steps", "expected a number"))?;
    fit(&mut trainer, steps, real, &mut [])?;
    println!("{} steps, {} parameters", trainer.steps_done(), trainer.generator().params().count());
    Ok(())
}
