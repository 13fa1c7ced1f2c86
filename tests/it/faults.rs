//! Makes every file operation of a run fail, or ends the process there. Afterwards the run must
//! continue and end as the unbroken one.

use crate::program::{gan_cli, small, small_with, without_clock};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A run in which everything that writes happens, but for health checks and evaluations, which take
/// seconds to prepare.
const SETS: [&str; 8] = [
    "train.steps=6",
    "train.checkpoint-every=2",
    "train.sample-every=3",
    "train.log-every=2",
    "train.keep=1",
    "train.health.every=0",
    "train.ema={ half-life-kimg = 1.0 }",
    "data.limit=64",
];

/// Runs with the fault `fault`, such as `enospc@7`.
fn with_fault(at: &Path, args: &[&str], fault: &str) -> Output {
    gan_cli(at, args).env("GAN_FILES_FAULT", fault).stdin(Stdio::null()).output().unwrap()
}

/// What must be equal at the end: every file but those with the clock in them, and the journal
/// without it.
fn results(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![];
    let mut unread = vec![run.to_owned()];
    while let Some(directory) = unread.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(run).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                unread.push(path);
            } else if name == "metrics.jsonl" {
                files.push((name, format!("{:?}", without_clock(run)).into_bytes()));
            } else if !name.ends_with("state.json") {
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The file operations of a run, in order.
fn operations(at: &Path, args: &[&str], expected: i32) -> Vec<String> {
    let trace = at.join("trace");
    let output = gan_cli(at, args).env("GAN_FILES_TRACE", &trace).output().unwrap();
    assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(trace).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// A run to walk through.
struct Walk<'a> {
    at: &'a Path,
    sets: &'a [&'a str],
    /// The exit code of the unbroken run.
    expected: i32,
}

impl Walk<'_> {
    fn arguments(&self, out: &str) -> Vec<String> {
        let mut args = small(out);
        args.extend(self.sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        args.push("--resume".to_owned());
        args
    }

    /// Makes each operation that `chosen` selects fail in one of the ways, or in each of them.
    fn survive(&self, kinds: &[&str], chosen: impl Fn(&str) -> bool) -> usize {
        let args = self.arguments("unbroken");
        let operations = operations(self.at, &small_with(&args, &[]), self.expected);
        let unbroken = results(&self.at.join("unbroken"));
        let places = operations.iter().enumerate().filter(|(_, operation)| chosen(operation));
        let places: Vec<u64> = places.map(|(i, _)| i as u64 + 1).collect();
        let faults: Vec<(&str, u64)> =
            kinds.iter().flat_map(|kind| places.iter().map(move |place| (*kind, *place))).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some((kind, place)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.survive_one(kind, *place, &unbroken);
                    }
                });
            }
        });
        places.len()
    }

    /// Makes one operation fail, and resumes the run.
    fn survive_one(&self, kind: &str, place: u64, unbroken: &[(String, Vec<u8>)]) {
        let (at, out, fault) = (self.at, format!("{kind}-{place}"), format!("{kind}@{place}"));
        let args = self.arguments(&out);
        let args = small_with(&args, &[]);
        let output = with_fault(at, &args, &fault);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{fault}: {stderr}");
        let go_on = || {
            // Once the run has a configuration, which a rollback may have changed, it needs no other.
            let has_begun = at.join(&out).join("config.toml").exists();
            let args = if has_begun { vec!["train", "--out", &out, "--resume"] } else { args.clone() };
            let output = gan_cli(at, &args).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(self.expected), "{fault}: {stderr}");
        };
        match (kind, output.status.code()) {
            ("kill", None) => go_on(),
            // Nothing is written after the last writes, so a disk that is full then does no harm.
            ("enospc" | "erofs", Some(0)) => (),
            (_, Some(1)) => {
                let errors: Vec<_> = stderr.lines().filter(|line| line.contains("ERROR")).collect();
                assert!(errors.len() == 1 && errors[0].contains(&out), "{fault}: {stderr}");
                go_on();
            }
            (_, code) => panic!("{fault}: {code:?}: {stderr}"),
        }
        let found = results(&at.join(&out));
        let names =
            |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(unbroken), "{fault}");
        for ((name, found), (_, expected)) in found.iter().zip(unbroken) {
            assert!(found == expected, "{fault}: {name} differs");
        }
        std::fs::remove_dir_all(at.join(&out)).unwrap();
    }
}

#[test]
fn a_run_survives_a_fault_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let walk = Walk { at: directory.path(), sets: &SETS, expected: 0 };
    let places = walk.survive(&["enospc", "eio", "erofs", "kill"], |_| true);
    assert!(places > 120, "{places}");
}

#[test]
fn a_best_generator_survives_a_fault_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let more = ["train.evaluate.every-kimg=0", "train.evaluate.count=64", "data.limit=600"];
    let sets = [&SETS[..], &more].concat();
    let walk = Walk { at: directory.path(), sets: &sets, expected: 0 };
    let places = walk.survive(&["kill"], |operation| operation.contains("/best"));
    assert!(places > 8, "{places}");
}

/// The rates double until the numbers are no longer finite. The run goes back once, and fails again.
#[test]
fn a_rollback_survives_a_kill_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let more = [
        "train.health.every=1",
        "train.health.on-failure=rollback",
        "train.generator.lr-schedule={ to = 1e30, over-kimg = 0.08 }",
        "train.discriminator.lr-schedule={ to = 1e30, over-kimg = 0.08 }",
    ];
    let sets = [&SETS[..], &more].concat();
    let walk = Walk { at: directory.path(), sets: &sets, expected: 3 };
    let places = walk.survive(&["kill"], |_| true);
    assert!(places > 8, "{places}");
}
