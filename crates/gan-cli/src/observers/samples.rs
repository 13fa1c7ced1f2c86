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
        let (latents, device) = (generator.config().latents(), generator.device());
        let mut stream = Stream::new(trainer.seed(), "samples", 0);
        let latents = match latents.classes() {
            // Each column of a square grid is of one class, if there are as many.
            Some(classes) => {
                let columns = columns(count);
                let in_turn = if columns < classes { count } else { columns };
                let labels: Vec<u8> = (0..count).map(|i| (i % in_turn % classes) as u8).collect();
                latents.draw_of(&mut stream, &labels, device)?
            }
            None => latents.draw(&mut stream, count, device)?,
        };
        Ok(Self { run, latents, drawn: None })
    }

    fn draw(&mut self, trainer: &Trainer) -> gan_train::Result<()> {
        trainer.check_finite()?;
        let images = trainer.sampler()?.generate(&self.latents)?;
        let grid = Grid::new(&images, columns(images.dim(0)?)).map_err(TrainError::observer)?;
        grid.save_png(self.run.samples(trainer.steps_done())).map_err(TrainError::observer)?;
        self.drawn = Some(trainer.steps_done());
        Ok(())
    }
}

/// Of a grid that is as square as it gets.
fn columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
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
