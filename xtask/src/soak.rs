//! Interrupts a run again and again, and compares it with the unbroken one.

use crate::gan_cli::FEATURES;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// A run in which everything happens often: an average, schedules, classes, health checks,
/// evaluations, grids and checkpoints.
const SETS: [&str; 14] = [
    "train.steps=240",
    "train.log-every=5",
    "train.sample-every=15",
    "train.checkpoint-every=20",
    "train.keep=2",
    "train.health.every=20",
    "train.health.samples=64",
    "train.health.on-failure=rollback",
    "train.evaluate.every-kimg=2",
    "train.evaluate.count=200",
    "model.generator.widths=[32, 16]",
    "model.discriminator.widths=[16, 32]",
    "train.ema={ half-life-kimg = 1.0 }",
    "data.batch-size=32",
];

/// The longest time from the start of a process to its signal, in milliseconds.
const LONGEST: u64 = 4_000;

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Signal {
    Kill,
    Term,
    Hangup,
    /// It stops for a moment, continues, and is then killed.
    StopAndKill,
}

const SIGNALS: [Signal; 4] = [Signal::Kill, Signal::Term, Signal::Hangup, Signal::StopAndKill];

pub(crate) fn run(shell: &Shell, kills: u64, seed: u64) -> Result<()> {
    ensure!(cfg!(unix), "soak needs the signals of Unix");
    cmd!(shell, "cargo build --release --package gan-cli --no-default-features --features {FEATURES}")
        .run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = shell.current_dir().join(target).join("release/gan-cli");
    let directory = shell.create_temp_dir()?;
    let at = directory.path();
    let unbroken = at.join("unbroken");
    ensure!(start(&program, &unbroken)?.wait()?.success(), "the unbroken run failed");
    let expected = results(&unbroken)?;

    let mut random = Random(seed);
    let (mut sent, mut runs, mut slowest) = (BTreeMap::new(), 0, Duration::ZERO);
    while sent.values().sum::<u64>() < kills {
        let broken = at.join(format!("broken-{runs}"));
        loop {
            let mut child = start(&program, &broken)?;
            std::thread::sleep(Duration::from_millis(random.below(LONGEST)));
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}", broken.display());
                break;
            }
            let signal = SIGNALS[random.below(SIGNALS.len() as u64) as usize];
            slowest = slowest.max(interrupt(&mut child, signal)?);
            *sent.entry(signal).or_insert(0) += 1;
        }
        let found = results(&broken)?;
        if let Some(name) = differs(&expected, &found) {
            keep(at)?;
            bail!("seed {seed}, run {runs}: {name} differs from the unbroken run: see {KEPT}");
        }
        std::fs::remove_dir_all(&broken)?;
        runs += 1;
        let all: u64 = sent.values().sum();
        report(&format!(
            "{all} signals, {runs} runs equal to the unbroken one, slowest end {:.1} s after a signal: {sent:?}",
            slowest.as_secs_f64()
        ));
    }
    Ok(())
}

fn start(program: &Path, out: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(["-qq", "train", "--resume", "--out"]).arg(out);
    // Once the run has a configuration, it needs no other.
    if !out.join("config.toml").exists() {
        command.args(["--config", "mnist-5k"]).args(SETS.iter().flat_map(|set| ["--set", set]));
    }
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    child.with_context(|| program.display().to_string())
}

/// Sends the signal, and returns how long the process then lived.
fn interrupt(child: &mut Child, signal: Signal) -> Result<Duration> {
    let now = Instant::now();
    let id = child.id().to_string();
    let send = |signal: &str| Command::new("kill").args([signal, &id]).stderr(Stdio::null()).status();
    match signal {
        Signal::Kill => send("-KILL")?,
        Signal::Term => send("-TERM")?,
        Signal::Hangup => send("-HUP")?,
        Signal::StopAndKill => {
            send("-STOP")?;
            std::thread::sleep(Duration::from_millis(50));
            send("-CONT")?;
            std::thread::sleep(Duration::from_millis(50));
            send("-KILL")?
        }
    };
    let code = child.wait()?.code();
    // The program may have reached its end before the signal.
    ensure!(matches!(code, None | Some(0 | 130)), "exit code {code:?} after {signal:?}");
    Ok(now.elapsed())
}

/// Every file of a run, without the clock. A checkpoint also says what a signal left to do at its step.
fn results(run: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut unread) = (BTreeMap::new(), vec![run.to_owned()]);
    while let Some(directory) = unread.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                unread.push(path);
                continue;
            }
            let content = match path.file_name().and_then(|name| name.to_str()) {
                Some("metrics.jsonl") => without_clock(&std::fs::read_to_string(&path)?)?,
                Some("state.json") => {
                    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
                    for left in ["owes_evaluation", "owes_images"] {
                        state["notes"][left] = serde_json::Value::Null;
                    }
                    clockless(&state.to_string(), &["seconds", "crc32"])?
                }
                _ => std::fs::read(&path)?,
            };
            files.insert(path.strip_prefix(run)?.to_owned(), content);
        }
    }
    Ok(files)
}

fn without_clock(journal: &str) -> Result<Vec<u8>> {
    let mut text = vec![];
    for line in journal.lines() {
        text.extend(clockless(line, &["seconds", "images_per_s", "crc32"])?);
        text.push(b'\n');
    }
    Ok(text)
}

/// A JSON object without the keys that depend on the clock.
fn clockless(object: &str, keys: &[&str]) -> Result<Vec<u8>> {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object)?;
    object.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(serde_json::to_vec(&object)?)
}

/// The first file that is not as in the unbroken run.
fn differs(unbroken: &BTreeMap<PathBuf, Vec<u8>>, found: &BTreeMap<PathBuf, Vec<u8>>) -> Option<String> {
    let name = unbroken.keys().chain(found.keys()).find(|name| unbroken.get(*name) != found.get(*name));
    name.map(|name| name.display().to_string())
}

/// Where the runs are after a failure.
const KEPT: &str = "target/soak-failure";

/// Copies the runs out of the temporary directory, so that they can be examined.
fn keep(runs: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(KEPT);
    std::fs::create_dir_all("target").context("target")?;
    let status = Command::new("cp").arg("-r").args([runs, Path::new(KEPT)]).status()?;
    ensure!(status.success(), "cannot copy the runs to {KEPT}");
    Ok(())
}

fn report(line: &str) {
    #[expect(clippy::print_stdout, reason = "the progress of a long command")]
    {
        println!("{line}");
    }
}

/// `SplitMix64` (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }
}
