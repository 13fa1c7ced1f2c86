//! Each way to fail has a configuration in `tests/failures` that fails that way, and is found out.
//!
//! On the kernels alone: on candle's own operations these runs take minutes, and say nothing more of the verdicts.

use crate::program::{fail, run, small, small_with, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn failures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/failures")
}

/// Trains a configuration and returns what `diagnose` says.
fn diagnosis(name: &str, sets: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let config = failures().join(format!("{name}.toml"));
    let mut args = vec!["-q", "train", "--config", config.to_str().unwrap(), "--out", "run"];
    args.extend(sets.iter().flat_map(|set| ["--set", *set]));
    succeed(directory.path(), &args);
    serde_json::from_str(&succeed(directory.path(), &["diagnose", "run", "--json"])).unwrap()
}

fn named(diagnosis: &Value) -> Vec<&str> {
    diagnosis["verdicts"].as_array().unwrap().iter().map(|v| v["failure"].as_str().unwrap()).collect()
}

/// One test a failure, so that they run side by side.
macro_rules! is_found_out {
    ($($name:ident: $failure:literal,)*) => {
        const FAILURES: &[&str] = &[$($failure),*];
        $(
            #[test]
            fn $name() {
                let diagnosis = diagnosis($failure, &[]);
                assert!(named(&diagnosis).contains(&$failure), "{diagnosis}");
            }
        )*
    };
}

is_found_out! {
    divergence: "divergence",
    a_frozen_discriminator: "discriminator-frozen",
    a_discriminator_that_won: "discriminator-won",
    a_frozen_generator: "generator-frozen",
    memorisation: "memorisation",
    missing_modes: "missing-modes",
    mode_collapse: "mode-collapse",
    no_convergence: "non-convergence",
    oscillation: "oscillation",
    a_range_mismatch: "range-mismatch",
    vanishing_gradients: "vanishing-gradients",
}

#[test]
fn the_list_is_the_directory() {
    let files = std::fs::read_dir(failures()).unwrap();
    let mut names: Vec<_> =
        files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let mut all = FAILURES.to_vec();
    all.sort_unstable();
    assert_eq!(names, all);
}

#[test]
fn the_seed_program_with_wrong_pixels_is_found_out_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let args =
        ["train", "--config", "mlp-001-verbatim", "--set", "data.name=mnist-5k", "--set", "train.steps=1"];
    let output = run(directory.path(), &[&args[..], &["--out", "run"]].concat());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("range mismatch since step 0: real pixels lie in [0.00, 1.00]"), "{log}");
    assert!(log.contains("Try: data.range = \"minus-one-one\""), "{log}");
}

#[test]
fn a_stopped_run_exits_with_3_and_its_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    let sets = [
        "train.health.every=10",
        "train.health.samples=64",
        "train.health.on-failure=stop",
        "train.generator.lr=1e-12",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let error = fail(at, &small_with(&args, &sets), 3);
    assert!(
        error.contains("the generator is frozen since step 10") && error.contains("on-failure"),
        "{error}"
    );
    // It ended after the second check, and left all that a run leaves.
    assert!(
        at.join("run/checkpoints/step-00000020").exists() && at.join("run/generator.safetensors").exists()
    );
    let text = succeed(at, &["diagnose", "run"]);
    for part in [
        "1 verdict in 2 checks up to step 20",
        "the generator is frozen, since step 10",
        "usual cause",
        "try",
        "at step 20",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Whoever resumes it knows.
    succeed(at, &["train", "--resume", "--out", "run"]);
}

#[test]
fn a_run_goes_back_once_with_half_the_rates_and_then_stops() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets = [
        "train.health.every=10",
        "train.health.samples=64",
        "train.health.on-failure=rollback",
        "train.generator.lr=0.4",
        "train.discriminator.lr=0.4",
        "train.steps=2000",
        "train.checkpoint-every=5",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let args = small("run");
    let error = fail(at, &small_with(&args, &sets), 3);
    assert!(error.contains("the run has gone back once before") && error.contains("divergence"), "{error}");
    let config = std::fs::read_to_string(at.join("run/config.toml")).unwrap();
    assert_eq!(config.matches("lr = 0.2").count(), 2, "{config}");
    let metrics = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let back: Vec<&Value> = lines.iter().filter(|line| line.get("rollback").is_some()).collect();
    assert_eq!(back.len(), 1);
    let (to, from) = (back[0]["step"].as_u64().unwrap(), back[0]["rollback"]["from"].as_u64().unwrap());
    assert!(to < from && back[0]["rollback"]["lr_g"] == 0.2, "{}", back[0]);
    // What was logged of the part that failed is gone: steps only rise.
    let steps: Vec<u64> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert!(steps.is_sorted(), "{steps:?}");
    assert!(succeed(at, &["diagnose", "run"]).contains("went back once, from step"), "diagnose");
    // The checkpoints are those of the changed run.
    let args = small("run");
    fail(at, &small_with(&args, &["--resume"]), 2);
    succeed(
        at,
        &[
            "-q",
            "train",
            "--resume",
            "--out",
            "run",
            "--set",
            "train.health.on-failure=warn",
            "--set",
            "train.steps=5",
        ],
    );
}

#[test]
fn what_cannot_be_diagnosed_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    assert!(fail(at, &["diagnose", "none"], 2).contains("none holds no metrics.jsonl: not a run"));
    let args = small("run");
    succeed(at, &small_with(&args, &["--set", "train.health.every=0"]));
    assert!(fail(at, &["diagnose", "run"], 2).contains("holds no checks: train with train.health.every"));
}

#[test]
fn a_run_that_leaves_the_numbers_is_diagnosed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (on_failure, code) in [("warn", 1), ("stop", 3)] {
        let args = small(on_failure);
        let on_failure_set = format!("train.health.on-failure={on_failure}");
        let sets = [
            "--set",
            "train.generator.lr=1e30",
            "--set",
            "train.discriminator.lr=1e30",
            "--set",
            &on_failure_set,
        ];
        let error = fail(at, &small_with(&args, &sets), code);
        assert!(error.contains("not finite"), "{error}");
        let text = succeed(at, &["diagnose", on_failure]);
        assert!(text.contains("divergence, since step") && text.contains("is not finite"), "{text}");
    }
    let args = small("short");
    succeed(at, &small_with(&args, &["--set", "train.steps=5"]));
    assert!(succeed(at, &["diagnose", "short"]).contains("not looked at yet"));
    // Two images are too few to be watched, and no reason not to train.
    let args = small("few");
    succeed(at, &small_with(&args, &["--set", "data.limit=2", "--set", "data.batch-size=2"]));
}
