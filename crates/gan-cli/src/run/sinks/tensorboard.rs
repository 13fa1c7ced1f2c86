//! The sink for `TensorBoard`: event files beside `metrics.jsonl`, if `train.tensorboard` asks for them.

mod file;
mod proto;

use super::{Event, Sink};
use crate::advice::Adviser;
use crate::config::Config;
use crate::run_dir::RunDir;
use anyhow::Result;
use file::EventFile;
pub(crate) use file::is_event_file;
use proto::{Image, Summary, Value};
use serde::Serialize;
use std::path::PathBuf;

/// Length of the longest list that becomes numbers of their own, such as the smallest and the largest
/// pixel. The shares of many classes would hide everything else.
const LONGEST: usize = 2;

/// Writes a file of events for each process that trains the run.
pub(super) struct TensorBoard {
    run: PathBuf,
    /// The configuration as text, and as pairs of keys and values.
    config: Option<(String, serde_json::Value)>,
    /// Present once the run has begun.
    file: Option<EventFile>,
    adviser: Adviser,
}

impl TensorBoard {
    pub(super) fn of(run: &RunDir, config: &Config) -> Result<Self> {
        let texts = (config.to_toml()?, serde_json::to_value(config)?);
        Ok(Self {
            run: run.path().to_owned(),
            config: Some(texts),
            file: None,
            adviser: Adviser::of(config)?,
        })
    }

    /// Opens the file of this process. Events after `step` are of lost work.
    fn begin(&mut self, step: u64) -> Result<()> {
        // After a rollback, the run begins again in the same process.
        let Some((text, config)) = self.config.take() else { return Ok(()) };
        let file = EventFile::create(&self.run)?;
        file.forget_after(step)?;
        let summary = Summary::of([
            Value::settings(&flat(&config, usize::MAX)),
            Value::text("configuration", format!("```toml\n{text}\n```")),
        ]);
        file.append(step, summary)?;
        self.file = Some(file);
        Ok(())
    }

    fn append(&self, step: u64, values: impl IntoIterator<Item = Value>) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.append(step, Summary::of(values))
    }

    /// Appends all numbers of `record`. The names of its fields follow `name`.
    fn numbers(&self, step: u64, name: &str, record: &impl Serialize) -> Result<()> {
        let record = serde_json::to_value(record)?;
        let numbers = flat(&record, LONGEST).into_iter().filter_map(|(key, value)| {
            let number = value.as_f64().filter(|_| key != "step")?;
            Some(Value::scalar(format!("{name}/{key}"), number))
        });
        self.append(step, numbers)
    }
}

impl Sink for TensorBoard {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begun(begun) => self.begin(begun.step)?,
            Event::Losses(line) => self.numbers(line.step, "train", line)?,
            Event::Drawn { step, png } => self.append(*step, Image::of_png(png).map(Value::image))?,
            Event::Checked { line, .. } => self.numbers(line.step, "health", &line.health)?,
            Event::Verdict(line) => {
                self.append(line.step, [Value::text("verdicts", self.adviser.said(&line.verdict))])?;
            }
            Event::Evaluated(line) => {
                self.numbers(line.step, "evaluate", &line.record_of(&line.evaluation)?)?;
                self.numbers(line.step, "floor", &line.record_of(&line.floor)?)?;
            }
            Event::WentBack(line) => {
                if let Some(file) = &self.file {
                    file.forget_after(line.step)?;
                }
            }
            Event::Known(_)
            | Event::Baseline(_)
            | Event::Step(_)
            | Event::Saved { .. }
            | Event::Ended { .. } => (),
        }
        Ok(())
    }
}

/// The values in a record, each with the names of its fields: `generator/update`. Longer lists are left
/// out.
fn flat(record: &serde_json::Value, longest: usize) -> Vec<(String, serde_json::Value)> {
    let named = |(name, value): (String, &serde_json::Value)| {
        let of = |(below, value): (String, _)| {
            (if below.is_empty() { name.clone() } else { format!("{name}/{below}") }, value)
        };
        flat(value, longest).into_iter().map(of).collect::<Vec<_>>()
    };
    match record {
        serde_json::Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| named((name.clone(), value))).collect()
        }
        serde_json::Value::Array(values) if longest == usize::MAX => {
            vec![(String::new(), serde_json::Value::Array(values.clone()).to_string().into())]
        }
        serde_json::Value::Array(values) if values.len() <= longest => {
            values.iter().enumerate().flat_map(|(index, value)| named((index.to_string(), value))).collect()
        }
        serde_json::Value::Array(_) | serde_json::Value::Null => vec![],
        value => vec![(String::new(), value.clone())],
    }
}

#[cfg(test)]
mod tests;
