//! A generator's file, and a state dict for a given model.
#![no_main]

use candle_core::{Device, Tensor};
use gan_fuzz::{memory, model};
use gan_models::{Generator, Provenance};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = gan_fuzz::file("generator.safetensors", input);
    let config = model::model();
    let (described, state) = memory::limit(input.len(), 64, || {
        (Generator::load(&path, &Device::Cpu), Generator::load_state_dict(&path, &config, &Device::Cpu))
    });
    if let Ok(generator) = state {
        draw(&generator);
    }
    if let Ok((generator, trained)) = described {
        draw(&generator);
        let again = gan_fuzz::directory().join("again.safetensors");
        generator.save(&again, &trained).expect("a file");
        let (_, read): (_, Provenance) = Generator::load(&again, &Device::Cpu).expect("its own file");
        assert_eq!(read.step, trained.step);
    }
});

/// Computes one image. Its numbers may be anything.
fn draw(generator: &Generator) {
    let config = generator.config();
    // Large images take long, and classes are appended to the latents by the program.
    if config.image_size > 64 || config.classes.is_some() {
        return;
    }
    let latents = Tensor::zeros((2, config.latent_dim), candle_core::DType::F32, &Device::Cpu);
    let latents = latents.expect("a tensor");
    let images = generator.generate(&latents).expect("images");
    assert_eq!(images.dims(), [2, config.channels, config.image_size, config.image_size]);
}
