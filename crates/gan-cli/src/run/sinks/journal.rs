//! The sink for `metrics.jsonl`: it writes every event that is a line of the file.

use super::{Event, Sink};
use crate::journal::Journal;
use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::PathBuf;

/// Appends lines. When a run begins or continues, it first drops the lines of lost work.
pub(super) struct Lines {
    path: PathBuf,
    /// Present once the run has begun.
    journal: Option<Journal>,
}

impl Lines {
    pub(super) fn of(run: &RunDir) -> Self {
        Self { path: run.metrics(), journal: None }
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        self.journal.as_mut().context("a line before the run has begun")?.append(line)
    }
}

impl Sink for Lines {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begun(begun) => self.journal = Some(Journal::open(&self.path, begun.step)?),
            Event::Baseline(line) => self.append(line)?,
            Event::Losses(line) => self.append(line)?,
            Event::Checked { line, .. } => self.append(line)?,
            Event::Verdict(line) => self.append(line)?,
            Event::Evaluated(line) => self.append(line)?,
            // The rollback writes its own line, in one atomic write that also drops the undone
            // lines.
            Event::WentBack(_)
            | Event::Known(_)
            | Event::Step(_)
            | Event::Drawn { .. }
            | Event::Saved { .. }
            | Event::Ended { .. } => (),
        }
        Ok(())
    }
}
