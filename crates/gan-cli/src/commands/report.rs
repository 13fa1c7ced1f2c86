//! `gan-cli report` and `gan-cli compare`.

use super::output::{self, Place};
use crate::args;
use crate::exit::{End, usage};
use crate::report::{COLUMNS, Parts, Record, cells, differences, found, html, read_all};
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal::{self, counted, escaped};
use anyhow::Result;
use std::fmt::Write as _;

pub(crate) fn run(args: &args::Report) -> Result<End> {
    let out = args.out.clone().unwrap_or_else(|| output::next_free("report", "html"));
    run_dir::check_link(&out)?;
    if output::extension(&out).is_none_or(|extension| extension != "html" && extension != "htm") {
        return Err(usage(format!("--out: expected X.html, found {}", out.display())));
    }
    let place = Place::new(out.clone());
    place.protect(&[])?;
    place.protect_foreign(&["content=\"gan-cli "])?;
    args.runs.iter().try_for_each(|run| super::check_exists(run))?;
    let records = read_all(&args.runs)?;
    let page = html(&records.iter().collect::<Vec<_>>(), Parts::Inside)?;
    output::prepare_parent(&out)?;
    output::write(&place, page.as_bytes(), &Stop::on_signals()?)?;
    tracing::info!("{} in {}", counted(records.len(), "run"), out.display());
    Ok(End::Done)
}

pub(crate) fn compare(args: &args::Compare) -> Result<End> {
    args.runs.iter().try_for_each(|run| super::check_exists(run))?;
    let records = read_all(&args.runs)?;
    terminal::print(&table(&records.iter().collect::<Vec<_>>())?)?;
    Ok(End::Done)
}

/// The runs in the columns of a table, and the keys in which they differ.
fn table(records: &[&Record]) -> Result<String> {
    let line = |text: &str| escaped(text, &[]);
    let mut rows =
        vec![(String::new(), records.iter().map(|record| record.name.clone()).collect::<Vec<_>>())];
    let all: Vec<_> = records.iter().map(|record| cells(record)).collect();
    for (index, name) in COLUMNS.iter().enumerate() {
        rows.push(((*name).to_owned(), all.iter().map(|cells| cells[index].clone()).collect()));
    }
    rows.push(("verdicts".to_owned(), records.iter().map(|record| found(record)).collect()));
    let differences = differences(records).into_iter();
    let value = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    rows.extend(differences.map(|(key, values)| (key, values.into_iter().map(value).collect())));
    let rows: Vec<(String, Vec<String>)> = rows
        .into_iter()
        .map(|(name, cells)| (line(&name), cells.iter().map(|cell| line(cell)).collect()))
        .collect();
    let first = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..records.len())
        .map(|run| rows.iter().map(|(_, cells)| cells[run].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (name, cells) in rows {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:<width$}"));
        writeln!(text, "{}", format!("{name:<first$}{}", cells.collect::<String>()).trim_end())?;
    }
    Ok(text)
}
