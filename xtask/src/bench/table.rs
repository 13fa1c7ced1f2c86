//! Tables for people to read.

use super::compare::{Row, median};
use super::{BATCH, number};
use anyhow::Result;
use serde_json::Value;
use std::fmt::Write as _;

/// Key, title and number of decimals.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("step_ms", "step ms", 3),
    ("images_per_s", "images/s", 0),
    ("gflops", "GFLOP/s", 1),
    ("percent_of_sgemm", "% of sgemm", 0),
    ("peak_rss_mib", "peak MiB", 0),
    ("sample_images_per_s", "sampled/s", 0),
];

/// The numbers of gan-cli, and the parts of a step on all threads.
pub(super) fn alone(reports: &[Value]) -> Result<String> {
    let mut text = format!("\n{:<11} {:>7}", format!("batch {BATCH}"), "threads");
    for (_, title, _) in COLUMNS {
        write!(text, " {title:>10}")?;
    }
    for report in reports {
        write!(text, "\n{:<11} {:>7}", workload(report), report["threads"].to_string())?;
        for (key, _, decimals) in COLUMNS {
            write!(text, " {:>10}", shown(number(report, key), decimals))?;
        }
    }
    writeln!(text, "\n")?;
    phases(&mut text, reports)?;
    Ok(text)
}

fn phases(text: &mut String, reports: &[Value]) -> Result<()> {
    // The reports of a workload follow each other. The last of them is on all threads.
    let is_last = |i: &usize| reports.get(i + 1).is_none_or(|next| workload(next) != workload(&reports[*i]));
    let reports: Vec<_> = (0..reports.len()).filter(is_last).map(|i| &reports[i]).collect();
    let Some(order) = reports.first().and_then(|report| report["phase_order"].as_array()) else {
        return Ok(());
    };
    write!(text, "{:<24}", "ms, all threads")?;
    for report in &reports {
        write!(text, " {:>11}", workload(report))?;
    }
    writeln!(text)?;
    for phase in order.iter().filter_map(Value::as_str) {
        write!(text, "{phase:<24}")?;
        for report in &reports {
            write!(text, " {:>11}", shown(number(&report["phases"], phase), 3))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// The numbers of gan-cli next to those of its peers.
pub(super) fn compared(rows: &[Row], rounds: u32) -> Result<String> {
    let mut text = format!(
        "\n{:<11} {:<28} {:>14} {:>14}   {}\n",
        "", "all threads", "gan-cli", "the other", "the other / gan-cli"
    );
    for row in rows {
        let [ratio, least, most] = row.ratio();
        let [ours, theirs] =
            [&row.ours, &row.theirs].map(|values| format!("{:.3} {}", median(values), row.unit));
        let Row { peer, workload, what, .. } = row;
        let ratios = format!("{ratio:>5.2} ({least:.2} to {most:.2})");
        writeln!(text, "{workload:<11} {what:<28} {ours:>14} {theirs:>14}   {ratios}  {peer}")?;
    }
    writeln!(
        text,
        "Rounds in turn: {rounds}. Medians over them; ratios within a round, median (least to most)."
    )?;
    Ok(text)
}

fn workload(report: &Value) -> &str {
    report["config"].as_str().unwrap_or_default()
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn phases_are_those_of_the_last_report_of_each_workload_in_order() {
        let report = |config: &str, threads: u32, z: f64| {
            json!({
                "config": config, "threads": threads, "step_ms": 2.5,
                "phases": { "a": 1., "z": z }, "phase_order": ["z", "a"],
            })
        };
        let reports = [report("mlp", 1, 8.), report("mlp", 2, 4.), report("dcgan", 2, 7.)];
        let text = alone(&reports).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let z = lines.iter().position(|line| *line == ["z", "4.000", "7.000"]).unwrap();
        assert_eq!(lines[z + 1], ["a", "1.000", "1.000"]);
        // A value that is missing in a report is a dash.
        assert!(lines.iter().any(|line| *line == ["mlp", "1", "2.500", "-", "-", "-", "-", "-"]), "{text}");
    }
}
