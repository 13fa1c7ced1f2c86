//! The sink for `samples/step-*.png`: the drawn images in a grid.

use super::{Event, Sink};
use crate::run_dir::{self, RunDir};
use anyhow::Result;
use gan_files::write_atomically;
use std::path::PathBuf;

/// Writes a PNG whenever images are drawn.
pub(super) struct Grids {
    run: PathBuf,
}

impl Grids {
    pub(super) fn of(run: &RunDir) -> Self {
        Self { run: run.path().to_owned() }
    }
}

impl Sink for Grids {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Drawn { step, png } = event {
            write_atomically(&run_dir::samples(&self.run, *step), png)?;
        }
        Ok(())
    }
}
