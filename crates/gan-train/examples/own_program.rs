//! A complete program: it trains an MLP GAN on the 5,000 embedded digits, saves a grid every 1000
//! steps, and saves the generator.
#![expect(clippy::print_stdout, reason = "an example shows its progress")]

use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::{Batches, BatchesConfig, Grid, LastBatch, Range, mnist_5k};
use gan_models::{Provenance, preset};
use gan_train::{
    Observer, OptimizerConfig, StepReport, TrainConfig, TrainError, Trainer, every, fit, rng::Stream,
};
use std::ops::ControlFlow;
use std::path::Path;

const SEED: u64 = 0;
const STEPS: u64 = 4000;

fn main() -> Result<()> {
    let device = Device::Cpu;
    let model = preset::mlp_002();

    let config = BatchesConfig {
        batch_size: 64,
        seed: SEED,
        range: Range::MinusOneOne,
        channels: 1,
        keep_last: LastBatch::Drop,
        flip: false,
    };
    let digits = Batches::new(mnist_5k()?, config)?;
    let real = |step| digits.batch(step, &device);

    let train = TrainConfig::new(STEPS, OptimizerConfig::new(2e-4, (0.5, 0.999)));
    let mut trainer = Trainer::new(&model, &train, SEED, &device)?;
    // The grids show the same latents each time, so that they can be compared.
    let z = Stream::new(SEED, "grid", 0).normal((64, model.latent_dim), &device)?;
    fit(&mut trainer, STEPS, real, &mut [&mut every(500, Print), &mut every(1000, SaveGrid { z })])?;

    let origin = Provenance { data: "mnist-5k".into(), step: STEPS, ..Provenance::default() };
    trainer.generator().save(Path::new("generator.safetensors"), &origin)?;
    Ok(())
}

struct Print;

impl Observer for Print {
    fn on_step(&mut self, _: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        let StepReport { step, d_loss, g_loss, .. } = report;
        println!("step {step}: d_loss {d_loss:.3}, g_loss {g_loss:.3}");
        Ok(ControlFlow::Continue(()))
    }
}

struct SaveGrid {
    z: Tensor,
}

impl Observer for SaveGrid {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        let images = trainer.generator().generate(&self.z)?;
        let grid = Grid::new(&images, 8).map_err(TrainError::observer)?;
        grid.save_png(format!("step-{}.png", report.step)).map_err(TrainError::observer)?;
        Ok(ControlFlow::Continue(()))
    }
}
