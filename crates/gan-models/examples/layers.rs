//! Prints the layers of every preset with the shapes between them.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::{Context, Result};
use gan_models::{Layer, preset};

fn main() -> Result<()> {
    let presets = [
        ("mlp_001", preset::mlp_001()),
        ("mlp_002", preset::mlp_002()),
        ("mlp_003", preset::mlp_003(64)),
        ("dcgan_28", preset::dcgan_28()),
        ("dcgan_64", preset::dcgan_64()),
    ];
    for (name, config) in presets {
        print(&format!("{name} generator"), &config.generator_layers(), config.generator_input())?;
        print(
            &format!("{name} discriminator"),
            &config.discriminator_layers(),
            config.discriminator_input(),
        )?;
    }
    Ok(())
}

fn print(name: &str, layers: &[Layer], input: Vec<usize>) -> Result<()> {
    let parameters: usize = layers.iter().map(Layer::parameters).sum();
    println!("{name}: {parameters} parameters");
    let mut shape = input;
    for layer in layers {
        let output = layer.output_shape(&shape).context("layers that do not fit together")?;
        println!("  {layer}: {shape:?} -> {output:?}");
        shape = output;
    }
    Ok(())
}
