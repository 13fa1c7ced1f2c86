//! The row of a run in a table, and the rows of evaluations.

use super::chart::number;
use super::record::{Judged, Record};
use crate::records::RollbackLine;
use crate::terminal::counted;
use serde_json::Value;

/// The columns of a table of runs, after the name.
pub(crate) const COLUMNS: [&str; 7] = ["data", "networks", "loss", "steps", "time", "images/s", "distance"];

/// The cells of a run for [`COLUMNS`]. Further verdicts stand on their own.
pub(crate) fn cells(record: &Record) -> [String; COLUMNS.len()] {
    let model = &record.config.model;
    let (done, all) = record.steps;
    let steps = match all {
        Some(all) if all != done => format!("{done} of {all}"),
        _ => done.to_string(),
    };
    let channels = if model.channels == 1 { "gray" } else { "RGB" };
    let side = model.image_size;
    [
        record.config.data.name.to_string(),
        format!(
            "{}, {side}x{side} {channels}",
            record.settings.get("model.arch").map_or("", |arch| arch.trim_matches('"'))
        ),
        record.settings.get("train.loss").map_or(String::new(), |loss| loss.trim_matches('"').to_owned()),
        steps,
        duration(record.seconds),
        record.speed().map_or(String::new(), |speed| format!("{speed:.0}")),
        record.best().map_or_else(|| "no evaluation in the run".to_owned(), distance),
    ]
}

/// What the checks of a run's health found.
pub(crate) fn found(record: &Record) -> String {
    let names: Vec<_> = record.verdicts.iter().map(|verdict| verdict.failure.name()).collect();
    let found = match (&names[..], record.checks) {
        ([], 0) => "not checked".to_owned(),
        ([], checks) if record.doubt.is_some() => {
            format!("none in {}, but nothing learned yet", counted(checks, "check"))
        }
        ([], checks) => format!("none in {}", counted(checks, "check")),
        (names, _) => names.join(", "),
    };
    let stopped = record.stopped.map(|step| format!("stopped at step {step} by a verdict"));
    let went_back = record.went_back.as_ref().map(RollbackLine::said);
    [Some(found), went_back, stopped].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The distance of an evaluation, beside its floor.
fn distance(judged: &Judged) -> String {
    let Some((name, value)) = judged.distance() else { return String::new() };
    let floor = floor(judged).map_or(String::new(), |floor| format!(" (floor {})", number(floor)));
    format!("{name} {}{floor} at step {}", number(value), judged.step)
}

/// The distance of real images, beside that of an evaluation.
fn floor(judged: &Judged) -> Option<f64> {
    judged.floor.as_ref()?.get(judged.distance()?.0.replace('-', "_"))?.as_f64()
}

/// A time in words: `48 s`, `9.5 min`, `2 h 5 min`.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.).round();
    if seconds < 90. {
        format!("{seconds:.0} s")
    } else if minutes < 90. {
        format!("{:.1} min", seconds / 60.)
    } else {
        format!("{:.0} h {:.0} min", (minutes / 60.).floor(), minutes % 60.)
    }
}

/// A row of the table of evaluations.
pub(crate) struct Row {
    pub(crate) name: String,
    /// For each evaluation, its value and that of real images.
    pub(crate) cells: Vec<(String, String)>,
    pub(crate) note: &'static str,
}

const DISTANCE: &str = "Fréchet distance of the features; lower is better";

/// Further fields of an evaluation, their names, and what they mean.
const FIELDS: [(&str, &str, &str); 11] = [
    ("count", "images", "number of images that were drawn"),
    ("kid/mean", "kid", "kernel distance; lower is better"),
    ("classifier_score", "classifier score", "higher is better"),
    ("precision", "precision", "share of the images that look real"),
    ("recall", "recall", "share of the real images that it could draw"),
    ("density", "density", "like precision; outliers count less"),
    ("coverage", "coverage", "like recall; outliers count less"),
    ("classes/kl", "class KL", "0: the same shares of the classes as in the data"),
    ("bins/different", "different bins", "bins of similar images with other shares; lower is better"),
    ("accuracy/overall", "class accuracy", "share of the images that show the class that was asked for"),
    ("modes/kl", "mode KL", "0: all modes equally often"),
];

/// The rows for fields that any of the evaluations has. Distances by different features have a row each.
pub(crate) fn evaluation_rows(evaluations: &[&Judged]) -> Vec<Row> {
    let names: std::collections::BTreeSet<String> =
        evaluations.iter().filter_map(|judged| Some(judged.distance()?.0)).collect();
    let of_distance = |name: &String| {
        let own = |judged: &&Judged| match judged.distance() {
            Some((own, value)) if own == *name => {
                (number(value), floor(judged).map_or(String::new(), number))
            }
            _ => (String::new(), String::new()),
        };
        Row { name: name.clone(), cells: evaluations.iter().map(own).collect(), note: DISTANCE }
    };
    let distances = names.iter().map(of_distance);
    let row = |&(field, name, note): &(&str, &str, &'static str)| {
        let of = |judged: &&Judged| {
            let value = |numbers: &Value| value(numbers, field);
            let shown = |value: Option<f64>| value.map_or(String::new(), number);
            (shown(value(&judged.numbers)), shown(judged.floor.as_ref().and_then(value)))
        };
        let cells: Vec<_> = evaluations.iter().map(of).collect();
        Row { name: name.to_owned(), cells, note }
    };
    let fields = FIELDS.iter().map(row);
    let rows = features(evaluations).into_iter().chain(distances).chain(fields);
    rows.filter(|row| row.cells.iter().any(|(value, _)| !value.is_empty())).collect()
}

/// The features of each evaluation, if they are not the same: then the other numbers cannot be compared.
fn features(evaluations: &[&Judged]) -> Option<Row> {
    let name = |judged: &&Judged| {
        judged.numbers.get("features").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    };
    let names: Vec<_> = evaluations.iter().map(name).collect();
    let differ = names.iter().any(|name| *name != names[0]);
    let cells = names.into_iter().map(|name| (name, String::new())).collect();
    let note = "numbers by different features cannot be compared";
    differ.then(|| Row { name: "features".to_owned(), cells, note })
}

fn value(numbers: &Value, field: &str) -> Option<f64> {
    field.split('/').try_fold(numbers, |value, name| value.get(name))?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_words() {
        for (seconds, expected) in
            [(48.2, "48 s"), (570., "9.5 min"), (7500., "2 h 5 min"), (7199., "2 h 0 min")]
        {
            assert_eq!(duration(seconds), expected);
        }
    }
}
