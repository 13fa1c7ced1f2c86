//! Makes every file operation of a run fail, or ends the process there. Afterwards the run must
//! continue and end as the unbroken one.

use crate::program::{gan_cli, small, small_with, succeed, without_clock};
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
    /// A directory that the run continues in a copy. Without it, the run begins.
    from: Option<&'a str>,
    sets: &'a [&'a str],
    /// The exit code of the unbroken run.
    expected: i32,
}

const UNFINISHED: &str = ".gan-unfinished-";

/// An operation that fails, or at which the process ends.
struct Fault<'a> {
    kind: &'a str,
    /// Counted from 1.
    place: usize,
    /// The operations of the unbroken run.
    operations: &'a [String],
}

impl Fault<'_> {
    /// Whether it concerns the operation. If not, a later operation would fail, which has its own turn.
    fn acts(&self) -> bool {
        let operation = &self.operations[self.place - 1];
        match self.kind {
            "enospc" => operation.starts_with("Create") || operation.starts_with("Write"),
            "erofs" => !operation.starts_with("Read") && !operation.starts_with("Flush"),
            _ => true,
        }
    }

    /// Whether an error names the path of the operation. An unfinished file is written
    /// after an operation that names the file it becomes.
    fn is_named(&self, error: &str, at: &Path, out: &str) -> bool {
        let path = |operation: &str| operation.split_once(' ').unwrap().1.replace("unbroken", out);
        let is_of_other_name = |operation: &&String| {
            operation.starts_with("Write") && operation.rsplit('/').next().unwrap().starts_with(UNFINISHED)
        };
        let mut before = self.operations[..self.place].iter().rev();
        let path = before.find(|operation| !is_of_other_name(operation)).map(|operation| path(operation));
        let path = path.unwrap();
        // Only some paths are absolute, and the names of unfinished directories are random.
        let parts = path.split(UNFINISHED).enumerate();
        let mut known = parts.map(|(i, part)| if i == 0 { part } else { &part["012345".len()..] });
        let at = format!("{}/", at.display());
        known.all(|part| error.replace(&at, "").contains(&part.replace(&at, "")))
    }

    /// The checkpoints that are complete before the operation. A checkpoint is renamed
    /// when it is complete, and again before it is deleted.
    fn checkpoints(&self, before: &[String]) -> Vec<String> {
        let mut found = before.to_vec();
        for operation in &self.operations[..self.place - 1] {
            let Some((_, step)) = operation.split_once("/checkpoints/step-") else { continue };
            let name = format!("step-{step}");
            if !operation.starts_with("Rename") || step.contains('/') {
                continue;
            }
            match found.iter().position(|one| *one == name) {
                Some(i) => _ = found.remove(i),
                None => found.push(name),
            }
        }
        found
    }
}

/// The names of the checkpoints in a run. Each of them must be whole.
fn whole_checkpoints(run: &Path) -> Vec<String> {
    let Ok(paths) = gan_files::entries(&run.join("checkpoints")) else { return vec![] };
    let is_finished = |path: &&std::path::PathBuf| !gan_files::is_unfinished(path.file_name().unwrap());
    let name = |path: &std::path::PathBuf| {
        let state = std::fs::read(path.join("state.json")).unwrap();
        assert!(gan_files::is_sealed(&state), "{}", path.display());
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        for (file, expected) in state["files"].as_object().unwrap() {
            let found = gan_files::sha256(&[&std::fs::read(path.join(file)).unwrap()]);
            assert_eq!(*expected, found, "{}", path.join(file).display());
        }
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    paths.iter().filter(is_finished).map(name).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for path in gan_files::entries(from).unwrap() {
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &place) } else { _ = std::fs::copy(&path, place).unwrap() }
    }
}

impl Walk<'_> {
    /// The arguments of the run in `out`, for which there is a copy if it continues one.
    fn begin(&self, out: &str) -> Vec<String> {
        let mut args = match self.from {
            Some(from) => {
                copy(&self.at.join(from), &self.at.join(out));
                ["train", "--out", out].map(ToOwned::to_owned).to_vec()
            }
            None => small(out),
        };
        args.extend(self.sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        args.push("--resume".to_owned());
        args
    }

    /// Makes each operation that `chosen` selects fail in each of the ways. Returns how many there are.
    fn survive(&self, kinds: &[&str], chosen: impl Fn(&[String], usize) -> bool) -> usize {
        let args = self.begin("unbroken");
        let operations = operations(self.at, &small_with(&args, &[]), self.expected);
        let unbroken = results(&self.at.join("unbroken"));
        let places = (0..operations.len()).filter(|i| chosen(&operations, *i)).map(|i| i + 1);
        let of_places = |kind| {
            let operations = &operations;
            places.clone().map(move |place| Fault { kind, place, operations })
        };
        let faults: Vec<_> = kinds.iter().flat_map(|kind| of_places(kind)).filter(Fault::acts).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.survive_one(fault, &unbroken);
                    }
                });
            }
        });
        places.count()
    }

    /// Makes one operation fail, and resumes the run.
    fn survive_one(&self, fault: &Fault<'_>, unbroken: &[(String, Vec<u8>)]) {
        let (at, kind, place) = (self.at, fault.kind, fault.place);
        let (out, stage) = (format!("{kind}-{place}"), format!("{kind}@{place}"));
        let args = self.begin(&out);
        let args = small_with(&args, &[]);
        let before = whole_checkpoints(&at.join(&out));
        let output = with_fault(at, &args, &stage);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{stage}: {stderr}");
        let left = whole_checkpoints(&at.join(&out));
        let lost: Vec<_> = fault.checkpoints(&before).into_iter().filter(|one| !left.contains(one)).collect();
        assert!(lost.is_empty(), "{stage}: lost {lost:?}: {stderr}");
        let go_on = || {
            // Once the run has a configuration, which a rollback may have changed, it needs no other.
            let has_begun = self.from.is_none() && at.join(&out).join("config.toml").exists();
            let args = if has_begun { vec!["train", "--out", &out, "--resume"] } else { args.clone() };
            let output = gan_cli(at, &args).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(self.expected), "{stage}: {stderr}");
        };
        match (kind, output.status.code()) {
            ("kill", Some(137)) => go_on(),
            (_, Some(1)) => {
                let errors: Vec<_> = stderr.lines().filter(|line| line.contains("ERROR")).collect();
                assert!(errors.len() == 1 && fault.is_named(errors[0], at, &out), "{stage}: {stderr}");
                go_on();
            }
            (_, code) => panic!("{stage}: {code:?}: {stderr}"),
        }
        let found = results(&at.join(&out));
        let names =
            |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(unbroken), "{stage}");
        for ((name, found), (_, expected)) in found.iter().zip(unbroken) {
            assert!(found == expected, "{stage}: {name} differs");
        }
        std::fs::remove_dir_all(at.join(&out)).unwrap();
    }
}

const ALL: [&str; 4] = ["enospc", "eio", "erofs", "kill"];

#[test]
fn a_run_survives_a_fault_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let walk = Walk { at: directory.path(), from: None, sets: &SETS, expected: 0 };
    let places = walk.survive(&ALL, |_, _| true);
    assert!(places > 120, "{places}");
}

#[test]
fn a_best_generator_survives_a_fault_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let more = ["train.evaluate.every-kimg=0", "train.evaluate.count=64", "data.limit=600"];
    let sets = [&SETS[..], &more].concat();
    let walk = Walk { at: directory.path(), from: None, sets: &sets, expected: 0 };
    let places = walk.survive(&ALL, |operations, i| operations[i].contains("/best"));
    assert!(places > 8, "{places}");
}

/// The rates grow until the run diverges. It goes back once, and diverges again.
const GOING_BACK: [&str; 6] = [
    "train.steps=10",
    "train.health.every=3",
    "train.health.on-failure=rollback",
    "data.batch-size=256",
    "train.generator.lr-schedule={ to = 3.0, over-kimg = 2.56 }",
    "train.discriminator.lr-schedule={ to = 3.0, over-kimg = 2.56 }",
];

/// Whether an operation belongs to the first rollback. It begins when the verdict is there, and its first
/// change is that of the journal. At last it changes the configuration.
fn is_of_rollback(operations: &[String], i: usize) -> bool {
    let index = |operation: &str| operations.iter().position(|one| one == operation).unwrap();
    let (first, configured) = (index("Rename unbroken/metrics.jsonl"), "Rename unbroken/config.toml");
    let last = first + operations[first..].iter().position(|one| one == configured).unwrap();
    (first - 10..last + 10).contains(&i)
}

#[test]
fn a_rollback_survives_a_fault_at_every_operation() {
    let directory = tempfile::tempdir().unwrap();
    let sets = [&SETS[..], &GOING_BACK, &["data.limit=256"]].concat();
    let walk = Walk { at: directory.path(), from: None, sets: &sets, expected: 3 };
    let places = walk.survive(&ALL, is_of_rollback);
    assert!(places > 50, "{places}");
}

#[test]
fn a_rollback_that_forgets_the_best_generator_survives_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let more = ["train.evaluate.every-kimg=1", "train.evaluate.count=64", "data.limit=600"];
    let sets = [&SETS[..], &GOING_BACK, &more].concat();
    let walk = Walk { at: directory.path(), from: None, sets: &sets, expected: 3 };
    let is_chosen =
        |operations: &[String], i: usize| is_of_rollback(operations, i) && operations[i].contains("/best/");
    assert_eq!(walk.survive(&ALL, is_chosen), 3);
}

#[test]
fn a_run_that_a_verdict_stops_survives_a_fault_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let more = ["train.health.on-failure=stop", "data.limit=256"];
    let sets = [&SETS[..], &GOING_BACK, &more].concat();
    let walk = Walk { at: directory.path(), from: None, sets: &sets, expected: 3 };
    // The last operation flushes the line that the verdict was acted upon. A resume then goes on.
    let places =
        walk.survive(&ALL, |operations, i| (operations.len() - 51..operations.len() - 1).contains(&i));
    assert_eq!(places, 50);
}

/// What a resume reads, a run that begins does not read.
#[test]
fn a_resume_survives_a_fault_at_every_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut args = small("half");
    args.extend(SETS.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    succeed(directory.path(), &small_with(&args, &["--set", "train.steps=3"]));
    let walk = Walk { at: directory.path(), from: Some("half"), sets: &["train.steps=6"], expected: 0 };
    let places = walk.survive(&["eio", "kill"], |operations, i| operations[i].starts_with("Read"));
    assert!(places > 30, "{places}");
}
