//! A generator with classes. It trains on the 5,000 embedded digits with their labels, and draws a column
//! of each digit.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::Result;
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, Grid, LastBatch, Range, mnist_5k};
use gan_models::preset;
use gan_train::{Examples, OptimizerConfig, TrainConfig, Trainer, fit, rng::Stream};

const SEED: u64 = 0;
const STEPS: u64 = 4000;
const CLASSES: u16 = 10;
const ROWS: usize = 8;

fn main() -> Result<()> {
    let device = Device::Cpu;
    let mut model = preset::mlp_002();
    model.classes = Some(CLASSES.into());

    let config = BatchesConfig {
        batch_size: 64,
        seed: SEED,
        range: Range::MinusOneOne,
        channels: 1,
        keep_last: LastBatch::Drop,
        flip: false,
    };
    let digits = Batches::new(mnist_5k()?, config)?;
    let real = |step| -> gan_data::Result<Examples> {
        Ok(Examples { images: digits.batch(step, &device)?, labels: digits.labels(step) })
    };

    let train = TrainConfig::new(STEPS, OptimizerConfig::new(2e-4, (0.5, 0.999)));
    let mut trainer = Trainer::new(&model, &train, SEED, &device)?;
    fit(&mut trainer, STEPS, real, &mut [])?;

    // One label for each image, row by row.
    let labels: Vec<u16> = (0..ROWS).flat_map(|_| 0..CLASSES).collect();
    let z = model.latents().draw_of(&mut Stream::new(SEED, "grid", 0), &labels, &device)?;
    let images = trainer.generator().generate(&z)?;
    Grid::new(&images, CLASSES.into())?.save_png("classes.png")?;
    println!("a column of each digit in classes.png");
    Ok(())
}
