//! `metrics.jsonl`: one JSON object a line.

use anyhow::{Context, Result};
use gan_models::write_atomically;
use gan_train::{Horizon, Observer, StepReport, TrainConfig, TrainError, Trainer};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Appends a line for each step it is shown.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    batch_size: u64,
    steps_per_epoch: u64,
    lr: (f64, f64),
    /// Since when, and after how many seconds of training in earlier processes.
    clock: (Instant, f64),
    /// Step and time of the line before, for the rate.
    before: (u64, f64),
}

#[derive(Serialize)]
struct Line {
    step: u64,
    epoch: f64,
    images: u64,
    seconds: f64,
    images_per_s: f64,
    d_loss: f32,
    g_loss: f32,
    d_real: f32,
    d_fake: f32,
    lr_g: f64,
    lr_d: f64,
}

impl Metrics {
    /// Opens the file to go on after `step` steps and `seconds` seconds: later lines, of work that was
    /// lost, are dropped.
    pub(crate) fn open(
        path: &Path,
        train: &TrainConfig,
        batch_size: usize,
        horizon: &Horizon,
        step: u64,
        seconds: f64,
    ) -> Result<Self> {
        let at = || path.display().to_string();
        cut(path, step).with_context(at)?;
        Ok(Self {
            path: path.to_owned(),
            file: OpenOptions::new().create(true).append(true).open(path).with_context(at)?,
            batch_size: batch_size as u64,
            steps_per_epoch: horizon.steps_per_epoch,
            lr: (train.generator.lr, train.discriminator.lr),
            clock: (Instant::now(), seconds),
            before: (step, seconds),
        })
    }
}

impl Observer for Metrics {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> gan_train::Result<ControlFlow<()>> {
        trainer.check_finite()?;
        let seconds = self.clock.1 + self.clock.0.elapsed().as_secs_f64();
        let (step_before, seconds_before) = std::mem::replace(&mut self.before, (report.step, seconds));
        let images = (report.step - step_before) * self.batch_size;
        let line = Line {
            step: report.step,
            epoch: report.step as f64 / self.steps_per_epoch as f64,
            images: report.step * self.batch_size,
            seconds: (seconds * 1e3).round() / 1e3,
            images_per_s: (images as f64 / (seconds - seconds_before).max(1e-9) * 10.).round() / 10.,
            d_loss: report.d_loss,
            g_loss: report.g_loss,
            d_real: report.d_real,
            d_fake: report.d_fake,
            lr_g: self.lr.0,
            lr_d: self.lr.1,
        };
        let failed = |e: std::io::Error| TrainError::observer(format!("{}: {e}", self.path.display()));
        let mut text = serde_json::to_vec(&line).map_err(TrainError::observer)?;
        text.push(b'\n');
        // One write, so that a kill leaves whole lines or, at worst, one that a resume drops.
        self.file.write_all(&text).map_err(failed)?;
        // On the disk before any later checkpoint is, or a resume after a power failure would miss the line.
        self.file.sync_data().map_err(failed)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// Keeps the lines up to `step`.
fn cut(path: &Path, step: u64) -> Result<()> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
    }
    // Bytes that are no text can only be what a crash left of the last line.
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .filter(|line| serde_json::from_str::<Step>(line).is_ok_and(|line| line.step <= step))
        .collect();
    if kept.as_bytes() != bytes {
        write_atomically(path, kept.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_lost_work_and_half_lines_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        cut(&path, 3).unwrap();
        std::fs::write(&path, "{\"step\":2,\"x\":1}\n{\"step\":4}\n{\"step\":6}\n{\"st").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0xff, 0, 0xfe]);
        std::fs::write(&path, bytes).unwrap();
        cut(&path, 4).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":2,\"x\":1}\n{\"step\":4}\n");
    }
}
