//! The HTML file.

use super::chart::RUNS;
use super::charts::{Drawn, charts};
use super::record::{Record, differences};
use super::rows::{COLUMNS, Row, cells, evaluation_rows, found};
use crate::advice::Adviser;
use crate::commands::{inspect, timelapse};
use crate::film::spread;
use crate::run_dir;
use anyhow::Result;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candle_core::Device;
use gan_files::sha256;
use gan_metrics::health;
use gan_models::Generator;

/// Number of grids of a run, evenly spaced. A page of some megabytes can be mailed.
const GRIDS: usize = 30;

/// The same for a page whose pictures are loaded as they are looked at.
const SERVED_GRIDS: usize = 200;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    version: &'static str,
    style: &'static str,
    script: &'static str,
    columns: [&'static str; COLUMNS.len()],
    is_served: bool,
    /// A JSON list of the runs' names.
    names: String,
    runs: Vec<Shown<'a>>,
    evaluations: Vec<Named<'a>>,
    evaluation_rows: Vec<Row>,
    charts: Vec<Drawn>,
    differences: Vec<(String, Vec<String>)>,
}

/// A run on the page.
struct Shown<'a> {
    name: &'a str,
    /// Number of its colour.
    color: usize,
    cells: [String; COLUMNS.len()],
    verdicts: Vec<Verdict<'a>>,
    found: String,
    is_failing: bool,
    /// Why a run without verdicts may be failing.
    doubt: String,
    is_training: bool,
    /// Steps of grids, and the addresses of their pictures.
    grids: Vec<(u64, String)>,
    /// The name in an address.
    encoded_name: String,
    config: String,
    /// Empty if the run has no weights yet.
    provenance: String,
    layers: String,
}

struct Verdict<'a> {
    name: &'static str,
    since: u64,
    certain: u64,
    evidence: &'a str,
    cause: &'static str,
    advice: String,
}

/// An evaluation and its run.
struct Named<'a> {
    run: &'a str,
    step: u64,
}

/// Where a page has its style, its script and its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "board"), expect(dead_code, reason = "only `board` serves pages"))]
pub(crate) enum Parts {
    /// In itself.
    Inside,
    /// At the server that it comes from.
    Served,
    /// The same for a page that is there already, which needs only what changes while a run trains.
    Renewed,
}

/// The page for some runs.
pub(crate) fn html(records: &[&Record], parts: Parts) -> Result<String> {
    let runs = records.iter().enumerate().map(|(run, record)| shown(run, record, parts));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    let best: Vec<_> = records.iter().filter_map(|record| Some((*record, record.best()?))).collect();
    let judged: Vec<_> = best.iter().map(|(_, judged)| *judged).collect();
    let value = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let differences = differences(records).into_iter();
    let names: Vec<&str> = records.iter().map(|record| &record.name[..]).collect();
    let page = Page {
        is_served: parts != Parts::Inside,
        title: names.join(", "),
        names: serde_json::to_string(&names)?,
        version: env!("CARGO_PKG_VERSION"),
        style: include_str!("../../templates/report.css"),
        script: include_str!("../../templates/report.js"),
        columns: COLUMNS,
        runs,
        evaluations: best
            .iter()
            .map(|(record, judged)| Named { run: &record.name, step: judged.step })
            .collect(),
        evaluation_rows: evaluation_rows(&judged),
        charts: charts(records),
        differences: differences
            .map(|(key, values)| (key, values.into_iter().map(value).collect()))
            .collect(),
    };
    Ok(page.render()?)
}

fn shown<'a>(run: usize, record: &'a Record, parts: Parts) -> Result<Shown<'a>> {
    let most = if parts == Parts::Inside { GRIDS } else { SERVED_GRIDS };
    let chosen = spread(record.grids.len(), most).into_iter().map(|index| &record.grids[index]);
    let encoded_name = address(&record.name);
    let grid = |(step, path): &(u64, std::path::PathBuf)| {
        if parts != Parts::Inside {
            return Ok(Some((*step, grid_address(&encoded_name, *step, path))));
        }
        let png = gan_files::read(path)?;
        // A damaged picture would be shown as far as it goes.
        if let Err(error) = timelapse::decode(&png) {
            tracing::warn!("passing over a damaged grid: {}: {error}", path.display());
            return Ok(None);
        }
        Ok(Some((*step, format!("data:image/png;base64,{}", STANDARD.encode(png)))))
    };
    let adviser = Adviser::of(&record.config)?;
    let verdict = |verdict: &'a health::Verdict| {
        let health::Verdict { failure, since, evidence, step } = verdict;
        let (cause, advice) = (failure.cause(), adviser.advice(*failure));
        Verdict { name: failure.name(), since: *since, certain: *step, evidence, cause, advice }
    };
    Ok(Shown {
        name: &record.name,
        color: run % RUNS,
        cells: cells(record),
        verdicts: record.verdicts.iter().map(verdict).collect(),
        found: found(record),
        is_failing: !record.verdicts.is_empty() || record.doubt.is_some(),
        doubt: record.doubt.clone().unwrap_or_default(),
        is_training: record.is_training,
        grids: chosen.filter_map(|chosen| grid(chosen).transpose()).collect::<Result<_>>()?,
        encoded_name,
        config: record.config.to_toml()?,
        provenance: provenance(record, parts)?,
        layers: inspect::describe(&record.config.model)?,
    })
}

/// The address of a grid at the server. After a rollback there may be another picture of the same step, so the
/// time of writing is a part of it.
pub(crate) fn grid_address(encoded_name: &str, step: u64, path: &std::path::Path) -> String {
    let written = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let written = written.and_then(|written| written.duration_since(std::time::UNIX_EPOCH).ok());
    let written = written.map_or(0, |written| written.as_millis());
    format!("/grid?run={encoded_name}&step={step}&written={written}")
}

/// A name as part of an address.
pub(crate) fn address(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let encoded = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encoded).collect()
}

/// The file of weights that a report is about, its checksum, and what it says.
fn provenance(record: &Record, parts: Parts) -> Result<String> {
    let file = run_dir::chosen_generator(&record.path);
    // A served page shows nothing outside of the run.
    let is_shown = match parts {
        Parts::Inside => file.exists(),
        Parts::Served => run_dir::is_own(&record.path, &file),
        Parts::Renewed => false,
    };
    if !is_shown {
        return Ok(String::new());
    }
    let (_, trained) = Generator::load(&file, &Device::Cpu)?;
    let sha256 = sha256(&[&gan_files::read(&file)?]);
    Ok(format!("{}\nSHA-256 {sha256}\n{}", file.display(), inspect::provenance(&trained)))
}
