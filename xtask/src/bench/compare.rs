//! Measures gan-cli and its peers in turn. A peer is another program for the same task.

use super::options::{Options, Workload};
use super::program::{self, GanCli};
use super::{BATCH, number, progress};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use xshell::Shell;

/// glibc gives large blocks back to the system and fetches them again in every step. These
/// settings prevent this, as is usual when PyTorch is tuned for a CPU.
const MALLOC: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "4294967296"),
    ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
    ("MALLOC_TOP_PAD_", "268435456"),
];
const JAX_WORKLOAD: &str = "mlp-001";

/// Another program for the same task.
#[derive(Debug)]
pub(super) struct Peer {
    python: String,
    script: PathBuf,
    /// Whether it knows every workload and can also draw one grid.
    complete: bool,
}

/// The peers whose packages `python` has. Without PyTorch there is an error. JAX is optional.
pub(super) fn peers(python: &str, root: &str) -> Result<Vec<Peer>> {
    let scripts = Path::new(root).join("benches/peers");
    let has = |packages: &str| {
        program::output(Command::new(python).args(["-c", &format!("import {packages}")])).map(drop)
    };
    has("torch, safetensors.torch, PIL.Image")
        .context("--peer needs a Python with torch, safetensors and pillow")?;
    let peer = |script, complete| Peer { python: python.to_owned(), script: scripts.join(script), complete };
    let mut peers = vec![peer("pytorch.py", true)];
    if has("jax").is_ok() {
        peers.push(peer("jax_mlp.py", false));
    } else {
        progress(&format!("{python} has no jax: PyTorch alone"));
    }
    Ok(peers)
}

impl Peer {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).envs(MALLOC);
        command
    }

    fn bench(&self, workload: &Workload, options: &Options, threads: &str) -> Result<Value> {
        let steps = options.steps.unwrap_or(workload.steps).to_string();
        let mut command = self.command();
        if self.complete {
            command.args(["bench", workload.config, "--threads", threads]);
            command.args(workload.objective.iter().flat_map(|(name, _)| ["--objective", name]));
        }
        command.args(["--batch", BATCH, "--steps", &steps]).args(no_sampling(workload));
        program::report(&mut command)
    }
}

fn no_sampling(workload: &Workload) -> &'static [&'static str] {
    if workload.sampled { &[] } else { &["--no-sampling"] }
}

/// One measurement of gan-cli and of a peer, with a value for each round. Less is better.
#[derive(Debug)]
pub(super) struct Row {
    /// The peer's name with its version.
    pub(super) peer: String,
    pub(super) workload: &'static str,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) ours: Vec<f64>,
    pub(super) theirs: Vec<f64>,
}

impl Row {
    /// The peer's value divided by the value of gan-cli: median, least and most over the rounds.
    pub(super) fn ratio(&self) -> [f64; 3] {
        let ratios: Vec<_> = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| theirs / ours).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        [median(&ratios), least, ratios.iter().copied().fold(0., f64::max)]
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { peer, workload, what, unit, ours, theirs } = self;
        let [ratio, ratio_min, ratio_max] = self.ratio();
        json!({
            "peer": peer, "workload": workload, "what": what, "unit": unit,
            "ours": ours, "theirs": theirs, "ratio": ratio, "ratio_min": ratio_min, "ratio_max": ratio_max,
        })
    }
}

/// Median of values in any order. NaN if there are no values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 0 => f64::midpoint(values[half - 1], values[half]),
        (_, half) => values[half],
    }
}

/// Measures every workload on all threads. In each round the programs run one after the other, so
/// a slow moment of the machine slows all of them.
pub(super) fn run(shell: &Shell, gan_cli: &GanCli, peers: &[Peer], options: &Options) -> Result<Vec<Row>> {
    let directory = shell.create_temp_dir()?;
    let mut rows = vec![];
    for workload in &options.workloads {
        let run = directory.path().join(workload.name);
        if workload.objective.is_none() {
            train(gan_cli, workload, &run)?;
        }
        for round in 1..=options.rounds {
            progress(&format!("{}: round {round} of {}", workload.name, options.rounds));
            let ours = gan_cli.bench(workload, options.steps, no_sampling(workload))?;
            let threads = ours["threads"].to_string();
            for peer in peers.iter().filter(|peer| peer.complete || workload.name == JAX_WORKLOAD) {
                let theirs = peer.bench(workload, options, &threads)?;
                let name = theirs["peer"].as_str().unwrap_or("peer");
                for measure in &REPORTED {
                    push(&mut rows, name, workload, measure, [&ours, &theirs]);
                }
                if peer.complete && workload.objective.is_none() {
                    let ours = grid(gan_cli, &run)?.into();
                    let theirs = peer_grid(peer, workload, &run, &threads)?.into();
                    push(&mut rows, name, workload, &GRID, [&ours, &theirs]);
                }
            }
        }
    }
    Ok(rows)
}

/// A quantity of which less is better.
struct Measure {
    what: &'static str,
    unit: &'static str,
    of: fn(&Value) -> Option<f64>,
}

/// The quantities that the reports of both programs contain.
const REPORTED: [Measure; 3] = [
    Measure { what: "training step", unit: "ms", of: |report| number(report, "step_ms") },
    Measure { what: "peak memory of training", unit: "MiB", of: |report| number(report, "peak_rss_mib") },
    Measure {
        what: "drawing 10,000 images",
        unit: "s",
        of: |report| Some(1e4 / number(report, "sample_images_per_s")?),
    },
];
/// The time of a whole process, its start included.
const GRID: Measure = Measure { what: "start, load, draw 64, save", unit: "s", of: Value::as_f64 };

/// Adds the two values of a round to their row.
fn push(
    rows: &mut Vec<Row>,
    peer: &str,
    workload: &'static Workload,
    measure: &Measure,
    [ours, theirs]: [&Value; 2],
) {
    let (Some(ours), Some(theirs)) = ((measure.of)(ours), (measure.of)(theirs)) else { return };
    let same =
        |row: &&mut Row| (row.peer.as_str(), row.workload, row.what) == (peer, workload.name, measure.what);
    if let Some(row) = rows.iter_mut().find(same) {
        row.ours.push(ours);
        row.theirs.push(theirs);
        return;
    }
    rows.push(Row {
        peer: peer.to_owned(),
        workload: workload.name,
        what: measure.what,
        unit: measure.unit,
        ours: vec![ours],
        theirs: vec![theirs],
    });
}

/// Makes a generator to draw from. One step on the embedded digits is enough for timing.
fn train(gan_cli: &GanCli, workload: &Workload, run: &Path) -> Result<()> {
    let mut command = gan_cli.command();
    command.args(["train", "--config", workload.name, "--set", "data.name=mnist-5k"]);
    program::output(command.args(["--set", "train.steps=1", "--out"]).arg(run)).map(drop)
}

fn grid(gan_cli: &GanCli, run: &Path) -> Result<f64> {
    let mut command = gan_cli.command();
    command.arg("sample").arg(run).args(["--count", "64", "--out"]).arg(run.join("ours.png"));
    program::seconds(&mut command)
}

fn peer_grid(peer: &Peer, workload: &Workload, run: &Path, threads: &str) -> Result<f64> {
    let mut command = peer.command();
    command.args(["sample-process", workload.name, "--threads", threads, "--weights"]);
    command.arg(run.join("generator.safetensors")).arg("--out").arg(run.join("theirs.png"));
    program::seconds(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        let mut rows = vec![];
        let workload = &Options::parse(&[]).unwrap().workloads[0];
        for (ours, theirs) in [(1., 3.), (10., 20.), (2., 2.)] {
            push(&mut rows, "PyTorch", workload, &GRID, [&json!(ours), &json!(theirs)]);
        }
        push(&mut rows, "JAX", workload, &GRID, [&json!(1.), &json!(1.)]);
        // A value that one of the two does not report makes no row.
        push(&mut rows, "JAX", workload, &REPORTED[1], [&json!({}), &json!({ "peak_rss_mib": 1. })]);
        assert_eq!(rows.len(), 2);
        let [ratio, min, max] = rows[0].ratio();
        assert!((ratio - 2.).abs() < 1e-9 && (min - 1.).abs() < 1e-9 && (max - 3.).abs() < 1e-9);
    }
}
