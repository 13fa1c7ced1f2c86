//! What the directory of a run says about it, for reports.

use crate::config::Config;
use crate::exit::usage;
use crate::records::{self, RollbackLine, VerdictLine};
use crate::{journal, run_dir};
use anyhow::{Context, Result};
use gan_metrics::health::Verdict;
use gan_train::checkpoint;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run, as its files describe it. It may still be training.
#[derive(Debug)]
pub(crate) struct Record {
    /// Name of its directory.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    /// All keys of the configuration with their values, as text.
    pub(crate) settings: BTreeMap<String, String>,
    /// Number of steps that are recorded, and of the run.
    pub(crate) steps: (u64, Option<u64>),
    /// Seconds of training.
    pub(crate) seconds: f64,
    pub(crate) verdicts: Vec<Verdict>,
    /// The rollback of a run that went back to an earlier step. Its verdicts are those since then.
    pub(crate) went_back: Option<RollbackLine>,
    /// The step at which a verdict ended the run.
    pub(crate) stopped: Option<u64>,
    /// Number of checks of the run's health.
    pub(crate) checks: usize,
    /// What is wrong with the images of a run without verdicts.
    pub(crate) doubt: Option<String>,
    /// Whether a process trains the run. Only the board looks.
    pub(crate) is_training: bool,
    /// The step of the newest checkpoint.
    #[cfg(feature = "board")]
    pub(crate) saved: u64,
    /// Evaluations during the run by step, beside those of real images if the run recorded them.
    pub(crate) evaluations: Vec<Judged>,
    /// Grids by step.
    pub(crate) grids: Vec<(u64, PathBuf)>,
    /// The lines of `metrics.jsonl`.
    lines: Vec<Value>,
}

/// An evaluation during the run.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) step: u64,
    pub(crate) numbers: Value,
    pub(crate) floor: Option<Value>,
}

impl Judged {
    fn how(&self) -> [Option<Value>; 2] {
        how(&self.numbers)
    }

    /// The name of the distance, such as `mnist-fd`, and its value.
    pub(crate) fn distance(&self) -> Option<(String, f64)> {
        let fields = self.numbers.as_object()?;
        let (name, value) = fields.iter().find(|(name, _)| name.ends_with("_fd"))?;
        Some((name.replace('_', "-"), value.as_f64()?))
    }
}

impl Record {
    /// Reads a run's directory.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !run_dir::metrics(path).is_file() || !run_dir::config(path).is_file() {
            return Err(usage(format!(
                "{}: expected the directory of a run, with config.toml and metrics.jsonl",
                path.display()
            )));
        }
        let config = Config::load(&run_dir::config(path), &[])?;
        let settings = crate::config::flat(&config)?;
        if let Some(first) = journal::damaged(&run_dir::metrics(path))?.first() {
            tracing::warn!(
                "{}: passing over damaged lines, or lines that do not follow the line before them; the first is \
                 line {first}",
                run_dir::metrics(path).display()
            );
        }
        let lines: Vec<Value> = journal::read(&run_dir::metrics(path))?;
        let verdicts = journal::read::<VerdictLine>(&run_dir::metrics(path))?;
        let monitor = records::replay(&run_dir::metrics(path), u64::MAX)?;
        let doubt = monitor.filter(|_| verdicts.is_empty()).and_then(|monitor| records::unformed(&monitor));
        let verdicts: Vec<Verdict> = verdicts.into_iter().map(|line| line.verdict).collect();
        let evaluations = lines.iter().filter_map(|line| {
            let numbers = line.get("evaluate")?.clone();
            Some(Judged { step: step(line)?, numbers, floor: line.get("floor").cloned() })
        });
        // A run may end between two lines. Its last checkpoint says when, unless it is another run's.
        let newest = run_dir::newest_checkpoint(path)
            .filter(|newest| run_dir::is_own(path, &newest.join("state.json")));
        let saved = newest.and_then(|newest| checkpoint::progress(&newest).ok());
        let done = lines.iter().filter_map(step).chain(saved.map(|(step, _)| step)).max().unwrap_or(0);
        let checks = lines.iter().filter(|line| line.get("health").is_some()).count();
        let seconds = lines.iter().filter_map(|line| line.get("seconds")?.as_f64());
        let seconds = seconds.chain(saved.map(|(_, seconds)| seconds)).fold(0., f64::max);
        let grids = if path.join("samples").is_dir() { run_dir::grids(path)? } else { vec![] };
        let grids = grids.into_iter().filter_map(|grid| Some((run_dir::step_of(&grid)?, grid))).collect();
        let absolute = std::path::absolute(path).with_context(|| path.display().to_string())?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name,
            path: path.to_owned(),
            settings,
            steps: (done, config.train.steps.or_else(|| steps_of_epochs(&config, &lines))),
            seconds,
            verdicts,
            went_back: records::rollback(&run_dir::metrics(path))?,
            stopped: records::stopped(&run_dir::metrics(path))?,
            checks,
            doubt,
            is_training: false,
            #[cfg(feature = "board")]
            saved: saved.map_or(0, |(step, _)| step),
            evaluations: evaluations.collect(),
            grids,
            config,
            lines,
        })
    }

    /// The values of a field in all lines that have it, by step. `path` names fields in fields:
    /// `health/images/spread`. Evaluations are those that can be compared with the last one.
    pub(crate) fn series(&self, path: &str) -> Vec<(f64, f64)> {
        let last = self.evaluations.last().map(Judged::how);
        let is_comparable =
            |line: &&Value| line.get("evaluate").is_none_or(|numbers| Some(how(numbers)) == last);
        let value = |line: &Value| {
            let field = path.split('/').try_fold(line, |value, field| value.get(field))?;
            field.as_f64()
        };
        let lines = self.lines.iter().filter(is_comparable);
        lines.filter_map(|line| Some((step(line)? as f64, value(line)?))).collect()
    }

    /// The evaluation with the smallest distance, of those that were made as the last one. Distances by other
    /// features or over another number of images cannot be compared.
    pub(crate) fn best(&self) -> Option<&Judged> {
        let last = self.evaluations.last()?.how();
        let distance = |judged: &&Judged| judged.distance().map_or(f64::INFINITY, |(_, value)| value);
        let comparable = self.evaluations.iter().filter(|judged| judged.how() == last);
        comparable.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    /// The evaluation of the weights of a step.
    pub(crate) fn judged_at(&self, step: u64) -> Option<&Judged> {
        self.evaluations.iter().rfind(|judged| judged.step == step)
    }

    /// Images in a second, over all recorded steps.
    pub(crate) fn speed(&self) -> Option<f64> {
        let images = self.steps.0 as f64 * self.config.images_per_step() as f64;
        (self.seconds > 0.).then(|| images / self.seconds)
    }
}

/// The features and the number of images of an evaluation. Only numbers that were made in the same way can be
/// compared.
fn how(numbers: &Value) -> [Option<Value>; 2] {
    ["features", "count"].map(|name| numbers.get(name).cloned())
}

/// Number of steps of a run whose length is in epochs. Only a line about losses says how many steps an epoch
/// has.
fn steps_of_epochs(config: &Config, lines: &[Value]) -> Option<u64> {
    let (epochs, mut lines) = (config.train.epochs?, lines.iter().rev());
    let of_line = |line: &Value| Some((step(line)?, line.get("epoch")?.as_f64()?));
    let (step, epoch) = lines.find_map(of_line).filter(|(_, epoch)| *epoch > 0.)?;
    let steps = epochs as f64 * step as f64 / epoch;
    // The last step of the run may need only a part of its images from the last epoch.
    Some((steps - steps * 1e-9).ceil() as u64)
}

fn step(line: &Value) -> Option<u64> {
    line.get("step")?.as_u64()
}

/// Reads runs. Equal names get a number, so that they can be told apart.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = vec![];
    for path in paths {
        let mut record = Record::read(path)?;
        let is_taken = |name: &String| records.iter().any(|record| record.name == *name);
        if is_taken(&record.name) {
            let numbered = (2..).map(|number| format!("{} ({number})", record.name));
            record.name = numbered.into_iter().find(|name| !is_taken(name)).unwrap_or_default();
        }
        records.push(record);
    }
    Ok(records)
}

/// The keys in which the configurations of runs differ, with the value of each run. `None` stands for
/// a key that a run does not have.
pub(crate) fn differences(records: &[&Record]) -> Vec<(String, Vec<Option<String>>)> {
    let keys: std::collections::BTreeSet<&String> = records.iter().flat_map(|r| r.settings.keys()).collect();
    let values = |key: &String| records.iter().map(|r| r.settings.get(key).cloned()).collect::<Vec<_>>();
    let all = keys.into_iter().map(|key| (key.clone(), values(key)));
    all.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}
