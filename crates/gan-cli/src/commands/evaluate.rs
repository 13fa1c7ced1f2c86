//! `gan-cli evaluate`.

mod subject;
mod table;

use crate::args;
use crate::config::Config;
use crate::exit::{End, usage};
use crate::judge::{self, Pixels, Real};
use anyhow::Result;
use gan_data::{DataConfig, Range, Source};
use gan_metrics::Evaluation;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
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
    let classifier = judge::classifier(args.features.as_deref())?;
    let features = classifier.record().data.clone();
    let (channels, size) = subject.shape();
    let real = Real::load(&data, size, channels)?;
    if data.name == Source::Folder && args.features.is_none() {
        tracing::warn!(
            "the features were learned on {features}: on other images they say little (--features FILE)"
        );
    }
    let wanted = args.count.map_or(DEFAULT_COUNT.min(real.held_out_count()), |count| count as usize);
    let held_out = Set { name: real.names[1].clone(), count: real.held_out_count() };
    let reference = Set { name: real.names[0].clone(), count: real.train_count() };
    let stacked = real.may_be_stacked();
    let generated = judge::sample(&classifier, subject.images(wanted)?, Pixels::Kept, stacked)?;
    if generated.count() < wanted && args.count.is_some() {
        tracing::warn!("--count {wanted}, but there are {} images", generated.count());
    }
    let judges = real.reference(&classifier, Pixels::Kept)?;
    let report = Report {
        subject: subject.name(),
        features,
        reference,
        held_out,
        floor: judges.floor(generated.count())?,
        generated: judges.evaluate(&generated)?,
    };
    let text = if args.json { report.json()? } else { table::of(&report)? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(End::Done)
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

/// The run's data; with `--data-dir` that of the directory; else the embedded digits.
fn data(args: &args::Evaluate) -> Result<DataConfig> {
    let run = args.from.as_deref().map(|from| from.join("config.toml")).filter(|file| file.exists());
    let mut data = match run {
        Some(file) => {
            let mut config = Config::load(&file, &[])?;
            config.set_data_dir(args.data_dir.as_deref())?;
            config.data
        }
        None => directory(args.data_dir.as_deref()),
    };
    if let Some(name) = args.data {
        data.name = name.into();
    }
    if data.name == Source::Mnist5k && data.dir.is_some() {
        return Err(usage("--data mnist-5k is embedded and has no --data-dir"));
    }
    Ok(data)
}

fn directory(flag: Option<&Path>) -> DataConfig {
    let from_environment = std::env::var_os("GAN_DATA_DIR").filter(|dir| !dir.is_empty()).map(Into::into);
    let dir = flag.map(Path::to_owned).or(from_environment);
    let name = if dir.is_some() { Source::Mnist } else { Source::Mnist5k };
    DataConfig { name, batch_size: 1, dir, range: Range::default(), limit: None }
}
