//! A small GAN learns images of two kinds, horizontal and vertical stripes, and draws some in the
//! terminal.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_models::{ModelConfig, preset};
use gan_train::{
    Observer, OptimizerConfig, StepReport, TrainConfig, TrainError, Trainer, every, fit, rng::Stream,
};
use std::ops::ControlFlow;

const SIZE: usize = 8;
const BATCH: usize = 32;

fn main() -> Result<()> {
    let device = Device::Cpu;
    let mut model: ModelConfig = preset::mlp_002();
    (model.image_size, model.latent_dim) = (SIZE, 8);
    (model.generator.widths, model.discriminator.widths) = (vec![64], vec![64]);
    let adam = OptimizerConfig::new(1e-3, (0.5, 0.999));
    let train = TrainConfig::new(2000, adam);
    let mut trainer = Trainer::new(&model, &train, 0, &device)?;
    let real = stripes(&device)?;
    fit(&mut trainer, 2000, |_| Ok::<_, TrainError>(real.clone()), &mut [&mut every(500, Print)])?;

    let z = Stream::new(1, "samples", 0).normal((4, 8), &device)?;
    let images = trainer.generator().generate(&z)?;
    for image in images.squeeze(1)?.to_vec3::<f32>()? {
        for row in image {
            let line: String = row.iter().map(|&v| if v > 0. { "##" } else { ".." }).collect();
            println!("{line}");
        }
        println!();
    }
    Ok(())
}

/// Half of the images have horizontal stripes, and half have vertical stripes.
fn stripes(device: &Device) -> Result<Tensor> {
    let row: Vec<f32> = (0..SIZE).map(|i| if i / 2 % 2 == 0 { 1. } else { -1. }).collect();
    let vertical =
        Tensor::from_vec(row, (1, 1, 1, SIZE), device)?.broadcast_as((BATCH / 2, 1, SIZE, SIZE))?;
    Ok(Tensor::cat(&[&vertical, &vertical.transpose(2, 3)?], 0)?)
}

struct Print;

impl Observer for Print {
    fn on_step(&mut self, _: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        let StepReport { step, d_loss, g_loss, .. } = report;
        println!("step {step}: d_loss {d_loss:.3}, g_loss {g_loss:.3}");
        Ok(ControlFlow::Continue(()))
    }
}
