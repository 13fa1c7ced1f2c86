//! The table of an evaluation: one metric per line, for the generated and for the held-out images.

use super::Report;
use crate::terminal::{counted, escaped};
use anyhow::Result;
use gan_metrics::Evaluation;
use std::fmt::Write as _;

const COLUMN: usize = 17;

pub(super) fn of(report: &Report) -> Result<String> {
    let Report { subject, distance, reference, held_out, trained, channels, generated, floor, .. } = report;
    let line = |name: &str| escaped(name, &[]);
    let mut text = String::new();
    let kind = match (*channels, report.see_colours) {
        (1, _) => "gray",
        (_, true) => "RGB",
        (_, false) => "RGB: the distances of three channels add up",
    };
    writeln!(text, "{}: {}, {kind}", line(subject), counted(generated.count, "image"))?;
    writeln!(text, "compared with {} ({})", line(&reference.name), counted(reference.count, "image"))?;
    writeln!(text, "the floor: {} of {} ({})", floor.count, line(&held_out.name), held_out.count)?;
    if report.may_be_trained_on_held_out {
        writeln!(
            text,
            "the generator may have been trained on these {} too (data.hold-out keeps some from training)",
            floor.count
        )?;
    }
    if generated.memorisation.is_some() {
        let images = counted(trained.count, "training image");
        let name = line(&trained.name);
        writeln!(text, "copies: searched among {images} of {name}")?;
    }
    writeln!(text)?;

    writeln!(text, "{:26}{:>COLUMN$} {:>COLUMN$}", "", "generated", "floor")?;
    let mut row = |name: &str, value: &dyn Fn(&Evaluation) -> String, note: &str| {
        writeln!(text, "{name:26}{:>COLUMN$} {:>COLUMN$}  {note}", value(generated), value(floor))
    };
    row(&format!("{distance}-fd"), &|e| format!("{:.2}", e.frechet_distance), "lower is better")?;
    let kid = |e: &Evaluation| {
        let digits = if e.kid.mean.abs().max(e.kid.deviation) < 1000. { 3 } else { 0 };
        format!("{:.digits$} +- {:.digits$}", e.kid.mean, e.kid.deviation)
    };
    row("kid", &kid, "lower is better; mean and deviation of 100 subsets")?;
    if generated.classifier_score.is_some() {
        let score = |e: &Evaluation| e.classifier_score.map_or(String::new(), |score| format!("{score:.3}"));
        row("classifier score", &score, "higher is better")?;
    }
    row("precision", &|e| format!("{:.3}", e.precision), "images that look real")?;
    row("recall", &|e| format!("{:.3}", e.recall), "real images that it could draw")?;
    row("density", &|e| format!("{:.3}", e.density), "like precision; outliers count less")?;
    row("coverage", &|e| format!("{:.3}", e.coverage), "like recall; outliers count less")?;
    if generated.classes.is_some() {
        let covered = |e: &Evaluation| {
            e.classes
                .as_ref()
                .map_or(String::new(), |classes| format!("{} of {}", classes.covered, classes.of))
        };
        row("classes", &covered, "that have a tenth of their share or more")?;
        let kl = |e: &Evaluation| e.classes.as_ref().map_or(String::new(), |c| format!("{:.4}", c.kl));
        row("class KL", &kl, "0: the same shares as the data")?;
    }
    if generated.bins.is_some() {
        let different = |e: &Evaluation| {
            e.bins.as_ref().map_or(String::new(), |bins| format!("{} of {}", bins.different, bins.of))
        };
        row("different bins", &different, "lower is better; bins of similar images, with other shares")?;
    }
    if generated.accuracy.is_some() {
        let overall = |e: &Evaluation| e.accuracy.as_ref().map_or(String::new(), |a| percent(a.overall));
        row("class accuracy", &overall, "images that show the class that was asked for")?;
    }
    if generated.modes.is_some() {
        let covered =
            |e: &Evaluation| e.modes.map_or(String::new(), |m| format!("{} of {}", m.covered, m.of));
        row("modes", &covered, "triples of digits that were drawn")?;
        let kl = |e: &Evaluation| e.modes.map_or(String::new(), |m| format!("{:.4}", m.kl));
        row("mode KL", &kl, &format!("0: all equally often; chance alone gives {:.4}", chance(generated)))?;
    }
    if generated.memorisation.is_some() {
        let median = |e: &Evaluation| e.memorisation.map_or(String::new(), |m| format!("{:.3}", m.median));
        row("nearest training image", &median, "median distance; far below the floor: copies")?;
        let copied =
            |e: &Evaluation| e.memorisation.map_or(String::new(), |m| format!("{:.1}%", m.copied * 100.));
        row("copied", &copied, "nearer to a training image than 99% of real ones")?;
    }

    let (of, [ours, theirs]) = shares(report);
    writeln!(text, "\n{of:26}{:>COLUMN$} {:>COLUMN$}", "generated", "floor")?;
    for (group, (share, real)) in ours.iter().zip(theirs).enumerate() {
        let [share, real] = [share, real].map(|share| percent(*share));
        let group = if generated.bins.is_some() { group.to_string() } else { name(report, group) };
        writeln!(text, "{group:<26}{share:>COLUMN$} {real:>COLUMN$}")?;
    }
    if let Some(accuracy) = &generated.accuracy {
        let floor = floor.accuracy.as_ref().map_or(&[][..], |accuracy| &accuracy.of_classes);
        writeln!(text, "\n{:26}{:>COLUMN$} {:>COLUMN$}", "accuracy of class", "generated", "floor")?;
        let shown = |share: Option<f64>| share.map_or("none".to_owned(), percent);
        for (class, share) in accuracy.of_classes.iter().enumerate() {
            let real = shown(floor.get(class).copied().flatten());
            let class = name(report, class);
            writeln!(text, "{class:<26}{:>COLUMN$} {real:>COLUMN$}", shown(*share))?;
        }
    }
    Ok(text)
}

/// The name of a class, or its number if it has no name.
fn name(report: &Report, class: usize) -> String {
    report.class_names.get(class).map_or_else(|| class.to_string(), |name| escaped(name, &[]))
}

/// The shares of the classes, or of the bins, in the generated images and in the held-out ones.
fn shares(report: &Report) -> (&'static str, [&[f64]; 2]) {
    let sides = [&report.generated, &report.floor];
    if report.generated.bins.is_some() {
        return ("share of bin", sides.map(|side| side.bins.as_ref().map_or(&[][..], |bins| &bins.shares)));
    }
    ("share of class", sides.map(|side| side.classes.as_ref().map_or(&[][..], |classes| &classes.shares)))
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.)
}

/// How much the KL of the modes of N images exceeds the KL of their distribution on average:
/// `(modes - 1) / 2N`. The reason is that 2N times the KL of samples is approximately a chi-squared
/// variable.
fn chance(evaluation: &Evaluation) -> f64 {
    evaluation.modes.map_or(0., |modes| (modes.of - 1) as f64 / (2 * evaluation.count) as f64)
}
