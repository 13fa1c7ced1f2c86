//! `gan-cli evaluate`.

mod subject;
mod table;

use crate::args;
use crate::config::{self, Config};
use crate::exit::{End, usage};
use crate::judge::{self, Pixels, Real};
use anyhow::Result;
use gan_data::{DataConfig, Range, Source};
use gan_metrics::Evaluation;
use gan_train::MIN_JUDGED;
use serde::Serialize;
use std::io::Write as _;
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
    let subject = Subject::open(args)?;
    let data = data(args)?;
    let (channels, size) = subject.shape();
    let real = Real::load(&data, size, channels)?;
    let classifier = judge::classifier(args.features.as_deref(), real.data())?;
    let features = classifier.record().data.clone();
    if args.features.is_none() && real.data().trim_end_matches("-5k") != features {
        tracing::warn!(
            "the features were learned on {features}: on other images they say little (--features FILE)"
        );
    }
    let generated = judge::sample(&classifier, subject.images(count(args, &subject, &real)?)?, Pixels::Kept)?;
    let reference = real.reference(&classifier, Pixels::Kept)?;
    let report = Report {
        subject: subject.name(),
        features,
        reference: Set { name: real.names.reference.clone(), count: real.reference_count() },
        held_out: Set { name: real.names.held_out.clone(), count: real.held_out_count() },
        floor: reference.floor(generated.count())?,
        generated: reference.evaluate(&generated)?,
    };
    let text = if args.json { report.json()? } else { table::of(&report)? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(End::Done)
}

/// Images to judge: no more than there are, nor than real ones are held out, for equal numbers are compared.
fn count(args: &args::Evaluate, subject: &Subject, real: &Real) -> Result<usize> {
    let wanted = args.count.map_or(DEFAULT_COUNT, |count| count as usize);
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

/// The run's data, if a run is named; other data by `--data`, from another directory by `--data-dir`. Without any of these,
/// the embedded digits.
fn data(args: &args::Evaluate) -> Result<DataConfig> {
    let own = match &args.from {
        Some(from) if !from.exists() => {
            return Err(usage(format!("{}: no such file or run", from.display())));
        }
        Some(from) => Some(from.join("config.toml")).filter(|file| file.exists()),
        None => None,
    };
    let own = own.map(|file| Ok::<_, anyhow::Error>(Config::load(&file, &[])?.data)).transpose()?;
    let named = args.data.map(Source::from);
    if named == Some(Source::Mnist5k) && args.data_dir.is_some() {
        return Err(usage("--data mnist-5k is embedded and has no --data-dir"));
    }
    let mut data = match (own, named) {
        (Some(own), None) => own,
        (Some(own), Some(name)) if own.name == name => own,
        (_, named) => {
            let is_elsewhere = args.data_dir.is_some() || config::dir_from_environment().is_some();
            let name = named.unwrap_or(if is_elsewhere { Source::Mnist } else { Source::Mnist5k });
            DataConfig { name, batch_size: 1, dir: None, range: Range::default(), limit: None }
        }
    };
    let own = data.name;
    config::set_data_dir(&mut data, args.data_dir.as_deref())?;
    if data.name != own {
        // It told which of the embedded digits were trained on.
        data.limit = None;
    }
    Ok(data)
}
