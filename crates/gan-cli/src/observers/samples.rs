//! Grids from noise that stays the same, so that one can watch images form.

use crate::run_dir::RunDir;
use candle_core::Tensor;
use gan_data::Grid;
use gan_ops::rng::Stream;
use gan_train::{Observer, StepReport, TrainError, Trainer};
use std::ops::ControlFlow;

/// Draws `samples/step-*.png`, and the last step's at the end.
pub(crate) struct Samples<'a> {
    run: &'a RunDir,
    latents: Tensor,
    drawn: Option<u64>,
}

impl<'a> Samples<'a> {
    pub(crate) fn new(run: &'a RunDir, trainer: &Trainer, count: usize) -> gan_train::Result<Self> {
        let generator = trainer.generator();
        let shape = (count, generator.config().latent_dim);
        let latents = Stream::new(trainer.seed(), "samples", 0).normal(shape, generator.device())?;
        Ok(Self { run, latents, drawn: None })
    }

    fn draw(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        trainer.check_finite()?;
        let images = trainer.sampler()?.generate(&self.latents)?;
        let columns = (images.dim(0)? as f64).sqrt().ceil() as usize;
        let grid = Grid::new(&images, columns).map_err(TrainError::observer)?;
        grid.save_png(self.run.samples(trainer.steps_done())).map_err(TrainError::observer)?;
        self.drawn = Some(trainer.steps_done());
        Ok(())
    }
}

impl Observer for Samples<'_> {
    fn on_step(&mut self, trainer: &Trainer, _: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        self.draw(trainer)?;
        Ok(ControlFlow::Continue(()))
    }

    fn on_finish(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        if self.drawn == Some(trainer.steps_done()) { Ok(()) } else { self.draw(trainer) }
    }
}
