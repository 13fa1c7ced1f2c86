//! `gan-cli diagnose`.

use super::{program, quoted};
use crate::advice::Adviser;
use crate::args;
use crate::config::Config;
use crate::exit::{End, usage};
use crate::journal;
use crate::records::{self, Rollback};
use crate::run_dir;
use crate::terminal;
use anyhow::Result;
use gan_metrics::health::{Monitor, Verdict, Vitals};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Number of checks, and the step of the last one.
    checks: usize,
    step: u64,
    rollback: Option<WentBack>,
    /// The step at which a verdict ended the run.
    stopped: Option<u64>,
    verdicts: Vec<Entry<'a>>,
    /// The measurements of the last check.
    last: Option<&'a Vitals>,
}

#[derive(Debug, Serialize)]
struct WentBack {
    /// The step to which the run went back.
    to: u64,
    #[serde(flatten)]
    rollback: Rollback,
    #[serde(skip)]
    said: String,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// Whether the last check still shows the failure.
    standing: bool,
    cause: &'static str,
    advice: String,
}

impl<'a> Entry<'a> {
    fn new(verdict: &'a Verdict, standing: bool, adviser: &Adviser) -> Self {
        let advice = adviser.advice(verdict.failure);
        Self { verdict, standing, cause: verdict.failure.cause(), advice }
    }
}

pub(crate) fn run(args: &args::Diagnose) -> Result<End> {
    terminal::print(&report(args)?)?;
    Ok(End::Done)
}

/// The text that the command prints.
pub(crate) fn report(args: &args::Diagnose) -> Result<String> {
    let path = run_dir::metrics(&args.run);
    super::check_exists(&args.run)?;
    if !path.exists() {
        return Err(usage(format!("{} holds no metrics.jsonl: not a run", args.run.display())));
    }
    let damaged = journal::damaged(&path)?;
    match damaged[..] {
        [] => (),
        [line] => tracing::warn!(
            "{}: passing over line {line}, which is damaged or does not follow the line before it (what \
             follows may be of another run)",
            path.display()
        ),
        [line, ..] => tracing::warn!(
            "{}: passing over {} lines, which are damaged or do not follow the line before them; the first \
             is line {line} (what follows may be of another run)",
            path.display(),
            damaged.len()
        ),
    }
    let Some(monitor) = records::replay(&path, u64::MAX)? else {
        let cause = match damaged.first() {
            Some(line) => format!("line {line} is damaged or does not follow the line before it"),
            None if std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) => "it is empty".to_owned(),
            None => "train.health.every was 0, or there were too few training images".to_owned(),
        };
        return Err(usage(format!("{} holds no word of the run's health: {cause}", path.display())));
    };
    // A loss or weight that was not finite was found between two checks and ended the run. Its
    // verdict is in the file. All other verdicts come from the checks, by the rules of this
    // version.
    let is_from_check = |verdict: &Verdict| monitor.history().iter().any(|(step, _)| *step == verdict.step);
    let is_new = |verdict: &Verdict| monitor.verdicts().iter().all(|known| known.failure != verdict.failure);
    let mut noted = records::verdicts(&path)?;
    noted.retain(|verdict| verdict.step > 0 && !is_from_check(verdict) && is_new(verdict));
    // The report needs no configuration. Without one, the advice is general.
    let config = Config::load(&run_dir::config(&args.run), &[]);
    let adviser = config.and_then(|config| Adviser::of(&config)).unwrap_or_default();
    let seen = monitor
        .verdicts()
        .iter()
        .map(|verdict| Entry::new(verdict, monitor.still_shows(verdict.failure), &adviser));
    let verdicts = seen.chain(noted.iter().map(|verdict| Entry::new(verdict, true, &adviser)));
    let last = monitor.history().last();
    let report = Report {
        checks: monitor.history().len(),
        step: last.map_or(0, |(step, _)| *step),
        rollback: records::rollback(&path)?.map(|line| WentBack {
            to: line.step,
            said: line.said(),
            rollback: line.rollback,
        }),
        stopped: records::stopped(&path)?,
        verdicts: verdicts.collect(),
        last: last.map(|(_, vitals)| vitals),
    };
    if args.json {
        Ok(format!("{}\n", serde_json::to_string(&report)?))
    } else {
        describe(&args.run, &monitor, &report)
    }
}

fn describe(path: &Path, monitor: &Monitor, report: &Report<'_>) -> Result<String> {
    let mut text = String::new();
    let (run, checks) = (terminal::name(path), terminal::counted(report.checks, "check"));
    if let Some(WentBack { rollback: Rollback { lr_g, lr_d, .. }, said, .. }) = &report.rollback {
        writeln!(text, "{said}; since then lr {lr_g} (G), {lr_d} (D)\n")?;
    }
    match report.verdicts.len() {
        0 if report.checks == 0 => {
            writeln!(text, "{run}: not looked at yet; train.health.every says after how many steps")?;
        }
        0 => {
            let patience = records::patience(monitor);
            writeln!(text, "{run}: no verdict in {checks} up to step {}{patience}", report.step)?;
            if let Some(doubt) = records::unformed(monitor) {
                writeln!(text, "{doubt}")?;
            }
            writeln!(
                text,
                "how good it is: {} evaluate {}",
                program(),
                terminal::escaped(&quoted(path), &[])
            )?;
        }
        n => {
            let verdicts = terminal::counted(n, "verdict");
            writeln!(text, "{run}: {verdicts} in {checks} up to step {}", report.step)?;
            if let Some(step) = report.stopped {
                writeln!(text, "stopped at step {step}, as train.health.on-failure asks")?;
            }
        }
    }
    for Entry { verdict, standing, cause, advice } in &report.verdicts {
        let until = if *standing { "" } else { ", gone by the last check" };
        let Verdict { failure, since, step, .. } = verdict;
        writeln!(text, "\n{}, since step {since} (certain at {step}){until}", failure.name())?;
        for (label, content) in
            [("evidence", verdict.evidence.as_str()), ("usual cause", cause), ("try", advice.as_str())]
        {
            // A line break in the file could forge a line of the report.
            writeln!(text, "  {label:12}{}", terminal::escaped(content, &[]))?;
        }
    }
    if let Some((step, vitals)) = monitor.history().last() {
        write!(text, "\n{}", last(*step, vitals, monitor)?)?;
    }
    Ok(text)
}

/// Describes the measurements of the last check.
fn last(step: u64, vitals: &Vitals, monitor: &Monitor) -> Result<String> {
    let Vitals { losses, generator, discriminator, largest_activation, images } = vitals;
    let mut text = format!("at step {step}\n");
    let mut row = |name: &str, value: String| writeln!(text, "  {name:38}{value}");
    if let (Some(real), Some(fake)) = (losses.d_real, losses.d_fake) {
        row("D(x), D(G(z))", format!("{real:.3}, {fake:.3}"))?;
    }
    row("d_loss, g_loss", format!("{:.3}, {:.3}", losses.d_loss, losses.g_loss))?;
    row("update over weights, G, D", format!("{:.1e}, {:.1e}", generator.update, discriminator.update))?;
    row(
        "gradient over weights, G, D",
        format!("{:.1e}, {:.1e}", generator.gradient, discriminator.gradient),
    )?;
    row("largest logit, activation", format!("{:.1}, {largest_activation:.1}", losses.largest_logit))?;
    row("spread of images, 1 as the data's", format!("{:.2}", images.spread))?;
    let real = monitor.baseline().distance;
    row("distance over variance, of real ones", format!("{:.3}, {real:.3}", images.distance))?;
    row("copies of training images", format!("{:.1}%", images.copied * 100.))?;
    let shares: Vec<_> = images.shares.iter().map(|share| format!("{:.0}", share * 100.)).collect();
    row(&format!("percent in each {}", monitor.baseline().group()), shares.join(" "))?;
    Ok(text)
}
