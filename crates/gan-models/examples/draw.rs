//! Draws an image from a trained generator, as text: `cargo example draw -- FILE`.
#![expect(clippy::print_stdout, reason = "the picture is the result")]

use anyhow::Context;
use candle_core::Device;
use gan_models::Generator;
use gan_models::rng::Stream;

fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).context("expected a generator.safetensors")?;
    let (generator, _) = Generator::load(file.as_ref(), &Device::Cpu)?;
    let mut stream = Stream::new(1, "draw", 0);
    let z = generator.config().latents().draw(&mut stream, 1, &Device::Cpu)?;
    let image = generator.generate(&z)?.get(0)?.mean(0)?; // [H, W] in [-1, 1]
    for row in image.to_vec2::<f32>()? {
        let shades = b" .:-=+*#%@";
        let line: String = row.iter().map(|v| shades[((v + 1.) * 4.5).round() as usize] as char).collect();
        println!("{line}");
    }
    Ok(())
}
