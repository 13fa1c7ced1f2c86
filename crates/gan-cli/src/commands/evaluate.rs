//! `gan-cli evaluate`.

mod subject;
mod table;

use crate::args;
use crate::config::{self, Config, MIN_JUDGED};
use crate::exit::{End, usage};
use crate::judge::{self, Pixels, Real};
use crate::run_dir;
use anyhow::Result;
use gan_data::{DataConfig, Range, Source};
use gan_metrics::Evaluation;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use subject::Subject;

/// Where there are so many held-out images.
const DEFAULT_COUNT: usize = 10_000;

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    /// What was judged.
    subject: String,
    /// Data of the classifier whose features were compared.
    features: String,
    /// What it was compared with.
    reference: Set,
    /// What was judged beside it.
    held_out: Set,
    /// Among what copies were sought.
    trained: Set,
    /// Of an image: each adds to the distances.
    channels: usize,
    generated: Evaluation,
    floor: Evaluation,
}

/// Real images.
#[derive(Debug, Serialize)]
struct Set {
    name: String,
    count: usize,
}

pub(crate) fn run(args: &args::Evaluate) -> Result<End> {
    let mut paths = args.from.iter().chain(&args.samples).chain(&args.features);
    if let Some(path) = paths.find(|path| !path.exists()) {
        return Err(usage(format!("{}: no such file or directory", path.display())));
    }
    let data = data(args)?;
    let subject = Subject::open(args, data.name)?;
    let (channels, size) = subject.shape();
    let real = Real::load(&data, size, channels)?;
    let classifier = judge::classifier(args.features.as_deref(), data.name)?;
    let features = classifier.record().data.clone();
    if args.features.is_none() && !real.is_known_to(&classifier) {
        judge::warn_of_features(&features);
    }
    let count = count(args, data.name, &subject, &real)?;
    let real = real.for_judging(count);
    let generated =
        judge::sample(&classifier, subject.images(count)?, Pixels::Kept, real.channels_hold(&classifier))?;
    let generated = match subject.labels(count).filter(|_| real.is_known_to(&classifier)) {
        Some(labels) => generated.with_labels(labels)?,
        None => generated,
    };
    let reference = real.reference(&classifier, Pixels::Kept)?;
    let mut report = Report {
        subject: subject.name(),
        features,
        reference: Set { name: real.names.reference.clone(), count: real.reference_count() },
        held_out: Set { name: real.names.held_out.clone(), count: real.held_out_count() },
        trained: Set { name: real.data().to_owned(), count: real.trained_count() },
        channels,
        floor: reference.floor(generated.count())?,
        generated: reference.evaluate(&generated)?,
    };
    if report.generated.accuracy.is_none() {
        // Of real images it is worth knowing beside that of a generator with classes.
        report.floor.accuracy = None;
    }
    let text = if args.json { report.json()? } else { table::of(&report)? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(End::Done)
}

/// Images to judge: no more than there are, nor than real ones are held out, for equal numbers are compared.
fn count(args: &args::Evaluate, data: Source, subject: &Subject, real: &Real) -> Result<usize> {
    let default = data.composed().map_or(DEFAULT_COUNT, |composed| composed.judged);
    let wanted = args.count.map_or(default, |count| count as usize);
    let (held_out, images) = (real.held_out_count(), subject.count().unwrap_or(usize::MAX));
    let count = wanted.min(held_out).min(images);
    if count < MIN_JUDGED {
        return Err(usage(format!("expected at least {MIN_JUDGED} images to judge, found {count}")));
    }
    if args.count.is_some() && count < wanted {
        let what = if count == images { "images to judge" } else { "held-out images to compare with" };
        tracing::warn!("--count {wanted}, but there are {count} {what}: judging {count}");
    }
    Ok(count)
}

impl Report {
    fn json(&self) -> Result<String> {
        let mut json = serde_json::to_value(self)?;
        for side in ["generated", "floor"] {
            judge::name_distance(&mut json[side], &self.features);
        }
        Ok(format!("{json}\n"))
    }
}

/// The configuration of a run, or of the run that a file or a checkpoint lies in.
fn configuration(from: &Path) -> Option<PathBuf> {
    let from = std::fs::canonicalize(from).ok()?;
    // RUN/checkpoints/step-00000001/generator.safetensors. A config.toml that has nothing to do with it may lie there too.
    let is_run =
        |directory: &&Path| run_dir::metrics(directory).exists() && directory.join("config.toml").exists();
    from.ancestors().take(4).find(is_run).map(|run| run.join("config.toml"))
}

/// The run's data, if a run is named or a file of it; other data by `--data`, from another directory by `--data-dir`. Without any of these,
/// the embedded digits.
fn data(args: &args::Evaluate) -> Result<DataConfig> {
    let own = args.from.as_deref().and_then(configuration);
    let own = own.map(|file| Ok::<_, anyhow::Error>(Config::load(&file, &[])?.data)).transpose()?;
    let named = args.data;
    if let Some(name) = named.filter(|name| name.embedded_part_of().is_some() && args.data_dir.is_some()) {
        return Err(usage(format!("--data {name} is embedded and has no --data-dir")));
    }
    let mut data = match (own, named) {
        (Some(own), None) => own,
        (Some(own), Some(name)) if own.name == name => own,
        (_, named) => {
            let is_elsewhere = args.data_dir.is_some() || config::dir_from_environment().is_some();
            let name = named.unwrap_or(if is_elsewhere { Source::MNIST } else { Source::MNIST_5K });
            DataConfig { name, batch_size: 1, dir: None, range: Range::default(), limit: None }
        }
    };
    let own = data.name;
    config::set_data_dir(&mut data, args.data_dir.as_deref())?;
    if data.name != own && data.limit.take().is_some() {
        // It told which of the embedded digits were trained on.
        tracing::warn!("the run was trained on some of {own}'s images: copies are not sought among these");
    }
    Ok(data)
}
