//! Which charts a page has.

use super::chart::{Chart, Curve, Mark};
use super::record::Record;
use gan_metrics::health;

/// A chart, and what its dashes mean.
pub(super) struct Drawn {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) keys: Vec<(usize, String)>,
    pub(super) svg: String,
}

/// A chart to draw: title, note, values that its axis includes, and fields of `metrics.jsonl` with their names.
type Planned = (String, String, &'static [f64], Vec<(String, String)>);

/// The same, if it is known at compile time.
type Plan = (&'static str, &'static str, &'static [f64], &'static [(&'static str, &'static str)]);

const CHARTS: [Plan; 8] = [
    ("Losses", "A low loss does not mean good images.", &[], &[("d_loss", "D"), ("g_loss", "G")]),
    (
        "How sure D is",
        "1: it is sure that an image is real. 0.5 and 0.5: it only guesses.",
        &[0., 1.],
        &[("d_real", "of real images"), ("d_fake", "of generated ones")],
    ),
    (
        "Precision and recall",
        "Shares; higher is better.",
        &[0., 1.],
        &[
            ("evaluate/precision", "precision"),
            ("evaluate/recall", "recall"),
            ("floor/precision", "precision of real images"),
            ("floor/recall", "recall of real images"),
        ],
    ),
    (
        "Variety",
        "Variance of the images, divided by that of real ones. Near 0: all are the same. 1: as the data's.",
        &[0., 1.],
        &[("health/images/spread", "")],
    ),
    (
        "Distance at the health checks",
        "To the data; lower is better. One image, repeated, has 1.",
        &[0., 1.],
        &[("health/images/distance", "")],
    ),
    (
        "Updates",
        "Size of a step's update, divided by that of the weights. 0: nothing is learned.",
        &[],
        &[("health/discriminator/update", "D"), ("health/generator/update", "G")],
    ),
    ("Learning rates", "", &[0.], &[("lr_d", "D"), ("lr_g", "G")]),
    ("Speed", "Images in a second.", &[0.], &[("images_per_s", "")]),
];

/// The charts of some runs.
pub(super) fn charts(records: &[&Record]) -> Vec<Drawn> {
    let plans = CHARTS.iter().map(|(title, note, always, fields)| {
        let fields: Vec<_> =
            fields.iter().map(|(field, name)| ((*field).to_owned(), (*name).to_owned())).collect();
        ((*title).to_owned(), (*note).to_owned(), *always, fields)
    });
    let all = distances(records).into_iter().chain(plans);
    all.filter_map(|planned| drawn(records, planned)).collect()
}

/// The charts of the distances, which are called after the data.
fn distances(records: &[&Record]) -> Vec<Planned> {
    let names =
        records.iter().flat_map(|record| &record.evaluations).filter_map(|judged| Some(judged.distance()?.0));
    let names: std::collections::BTreeSet<String> = names.collect();
    let chart = |name: String| {
        let field = name.replace('-', "_");
        let fields = [
            (format!("evaluate/{field}"), "generated".to_owned()),
            (format!("floor/{field}"), "real (the floor)".to_owned()),
        ];
        (name, "Distance to the data; lower is better.".to_owned(), &[0.][..], fields.into())
    };
    names.into_iter().map(chart).collect()
}

fn drawn(records: &[&Record], (title, note, always, fields): Planned) -> Option<Drawn> {
    let curve = |(run, record): (usize, &&Record), (dash, (field, name)): (usize, &(String, String))| {
        let name = [&record.name[..], name].join(" ").trim().to_owned();
        Curve { name, run, dash, points: record.series(field) }
    };
    let curves = records
        .iter()
        .enumerate()
        .flat_map(|record| fields.iter().enumerate().map(move |field| curve(record, field)));
    let curves: Vec<Curve> = curves.collect();
    // A verdict stands beside the curve of its run.
    let has_curve = |run: usize| curves.iter().any(|curve| curve.run == run && !curve.points.is_empty());
    let shown = records.iter().enumerate().filter(|(run, _)| has_curve(*run));
    let marks = shown.flat_map(|(run, record)| {
        let mark = move |verdict: &health::Verdict| Mark {
            step: verdict.since,
            run,
            text: format!("{}: {} since step {}", record.name, verdict.failure.name(), verdict.since),
            is_rollback: false,
        };
        let back = record.went_back.iter().map(move |line| Mark {
            step: line.step,
            run,
            text: format!("{}: {}", record.name, line.said()),
            is_rollback: true,
        });
        record.verdicts.iter().map(mark).chain(back)
    });
    let marks = marks.collect();
    let steps = records.iter().map(|record| record.steps.0).max().unwrap_or(0) as f64;
    let chart = Chart { title, note, always, steps, curves, marks };
    if chart.is_empty() {
        return None;
    }
    let svg = chart.svg();
    let keys = fields.iter().enumerate().filter(|(_, (_, name))| !name.is_empty());
    let keys = keys.map(|(dash, (_, name))| (dash, name.clone())).collect();
    Some(Drawn { title: chart.title, note: chart.note, keys, svg })
}
