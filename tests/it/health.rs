//! Tests that each kind of failure is found. Each has a configuration in `tests/failures` that
//! fails in that way.
//!
//! These tests need the kernels. With candle's own operations they would take minutes and test
//! nothing more.

use crate::program::{fail, run, small, small_with, succeed};
use gan_files::seal;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn failures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/failures")
}

/// Trains a configuration and returns the report of `diagnose`.
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

/// There is one test per failure, so that they run in parallel.
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
fn dark_photographs_do_not_stop_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("night")).unwrap();
    for n in 0..20u8 {
        let night =
            image::GrayImage::from_fn(28, 28, |x, y| image::Luma([((x * 3 + y * u32::from(n)) % 61) as u8]));
        night.save(at.join(format!("night/{n}.png"))).unwrap();
    }
    let args = small("run");
    let sets = [
        "--set",
        "data.name=folder",
        "--set",
        "train.steps=2",
        "--set",
        "train.health.on-failure=stop",
        "--data-dir",
        "night",
    ];
    succeed(at, &small_with(&args, &sets));
    assert!(at.join("run/checkpoints/step-00000002").exists());
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
    // The run ended after the second check, and wrote all its files.
    assert!(
        at.join("run/checkpoints/step-00000020").exists() && at.join("run/generator.safetensors").exists()
    );
    let text = succeed(at, &["diagnose", "run"]);
    for part in [
        "1 verdict in 2 checks up to step 20",
        "the generator is frozen, since step 10 (certain at 20)",
        "usual cause",
        "try",
        "at step 20",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A resumed run reports the verdict again.
    let log = String::from_utf8(run(at, &["train", "--resume", "--out", "run"]).stderr).unwrap();
    assert!(log.contains("known already: the generator is frozen since step 10"), "{log}");
}

pub(crate) const GOES_BACK: [&str; 8] = [
    "train.health.every=10",
    "train.health.samples=64",
    "train.health.on-failure=rollback",
    "train.generator.lr=0.1",
    "train.generator.lr-schedule={ to = 0.08, over-kimg = 1e6 }",
    "train.discriminator.lr=0.1",
    "train.steps=2000",
    "train.checkpoint-every=5",
];

#[test]
fn a_run_goes_back_once_with_half_the_rates_and_then_stops() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets: Vec<&str> = GOES_BACK.iter().flat_map(|set| ["--set", *set]).collect();
    let args = small("run");
    let error = fail(at, &small_with(&args, &sets), 3);
    assert!(error.contains("the run has gone back once before") && error.contains("divergence"), "{error}");
    let run = at.join("run");
    let config = || std::fs::read_to_string(run.join("config.toml")).unwrap();
    let is_halved = || config().matches("lr = 0.05").count() == 2 && config().contains("to = 0.04\n");
    assert!(is_halved(), "{}", config());
    let lines = || -> Vec<Value> {
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let back: Vec<Value> = lines().into_iter().filter(|line| line.get("rollback").is_some()).collect();
    assert_eq!(back.len(), 1);
    let (to, from) = (back[0]["step"].as_u64().unwrap(), back[0]["rollback"]["from"].as_u64().unwrap());
    assert!(0 < to && to < from && back[0]["rollback"]["lr_g"] == 0.05, "{}", back[0]);
    // The lines of the undone part are gone, so steps never decrease.
    let steps: Vec<u64> = lines().iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert!(steps.is_sorted(), "{steps:?}");
    let went_back = format!("went back once, from step {from} to step {to}, for divergence");
    let diagnosis = succeed(at, &["diagnose", "run"]);
    assert!(diagnosis.contains(&went_back) && diagnosis.contains("\nstopped at step "), "{diagnosis}");
    let table = succeed(at, &["compare", "run"]);
    assert!(table.contains(&went_back) && table.contains("stopped at step "), "{table}");
    succeed(at, &["report", "run", "--out", "run.html"]);
    succeed(at, &["export", "run", "--format", "hub", "--out", "card"]);
    for page in ["run.html", "card/README.md"] {
        let page = std::fs::read_to_string(at.join(page)).unwrap();
        assert!(page.contains(&went_back), "{page}");
    }
    // The checkpoints belong to the changed run.
    let args = small("run");
    fail(at, &small_with(&args, &["--resume"]), 2);
    // If a user changes the rates, it is an error. The run must not go back again because of it.
    let count = || std::fs::read_dir(run.join("checkpoints")).unwrap().count();
    let before = count();
    replace(&run.join("config.toml"), "lr = 0.05", "lr = 0.01");
    assert!(fail(at, &["train", "--resume", "--out", "run"], 2).contains("train.discriminator.lr"));
    assert!(count() == before && config().contains("lr = 0.01"));
    replace(&run.join("config.toml"), "lr = 0.01", "lr = 0.05");

    // The run was killed after the journal recorded the rollback. It completes the rollback when it
    // continues.
    let journal = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let (before, _) = journal.split_at(journal.find("went-back").unwrap());
    let (before, _) = before.split_at(before.rfind('\n').unwrap() + 1);
    std::fs::write(run.join("metrics.jsonl"), before).unwrap();
    replace(&run.join("config.toml"), "lr = 0.05", "lr = 0.1");
    replace(&run.join("config.toml"), "to = 0.04", "to = 0.08");
    let checkpoint = |step: u64| run.join(format!("checkpoints/step-{step:08}"));
    let kept = checkpoint(to);
    replace(&kept.join("state.json"), "\"0.05\"", "\"0.1\"");
    replace(&kept.join("state.json"), "\"0.04\"", "\"0.08\"");
    let state = std::fs::read(kept.join("state.json")).unwrap();
    let end = state.len() - r#","crc32":"00000000"}"#.len();
    std::fs::write(kept.join("state.json"), seal(&[&state[..end], b"}"].concat())).unwrap();
    let undone = to + 1000;
    let drawn = run.join(format!("samples/step-{undone:08}.png"));
    assert!(!checkpoint(undone).exists() && !drawn.exists());
    std::fs::create_dir(checkpoint(undone)).unwrap();
    std::fs::write(&drawn, "").unwrap();
    std::fs::create_dir(run.join("best")).unwrap();
    let best =
        format!(r#"{{"step":{undone},"frechet_distance":1.0,"count":64,"features":null,"sha256":""}}"#);
    std::fs::write(run.join("best/evaluation.json"), seal(best.as_bytes())).unwrap();
    go_on(at, to);
    assert!(is_halved(), "{}", config());
    assert!(!checkpoint(undone).exists() && !drawn.exists() && !run.join("best/evaluation.json").exists());
    // The header says the rates, which the run has halved.
    let weights = |path: &Path| {
        let file = std::fs::read(path.join("generator.safetensors")).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap());
        file[8 + header as usize..].to_vec()
    };
    assert!(weights(&run) == weights(&kept));
    // The checkpoint is from before the rollback, so its file has the old rates.
    for file in ["run".to_owned(), format!("run/checkpoints/step-{to:08}/generator.safetensors")] {
        succeed(at, &["inspect", &file]);
    }
}

#[test]
fn a_verdict_that_a_run_was_killed_with_is_acted_upon_when_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets: Vec<&str> = GOES_BACK.iter().flat_map(|set| ["--set", *set]).collect();
    let args = small("run");
    // This run has no setting for failures. Its state is that of a run that was killed between its
    // verdict and the action.
    let warned = small_with(&args, &[&sets[..], &["--set", "train.health.on-failure=warn"]].concat());
    let output = run(at, &warned);
    let log = String::from_utf8(output.stderr).unwrap();
    let step = log.split("WARN divergence since step ").nth(1).unwrap().split(':').next().unwrap();
    let certain: u64 = step.parse::<u64>().unwrap() + 10;
    let args = small("killed");
    let length = format!("train.steps={certain}");
    succeed(
        at,
        &small_with(&args, &[&warned[warned.len() - sets.len() - 2..], &["--set", &length]].concat()),
    );
    let rollback = ["--set", "train.health.on-failure=rollback", "--set", "train.steps=2000"];
    let output = run(at, &[&["train", "--resume", "--out", "killed"], &rollback[..]].concat());
    let log = String::from_utf8(output.stderr).unwrap();
    // The checkpoints before the failure were not kept.
    assert!(log.contains("no checkpoint is left from before it"), "{log}");
    assert_eq!(output.status.code(), Some(3));
    // The run has stopped at this verdict, so a resume only reports it.
    let output = run(at, &["train", "--resume", "--out", "killed", "--set", "train.health.on-failure=stop"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("known already: divergence") && !log.contains("stopped, as"), "{log}");
}

fn replace(path: &Path, now: &str, then: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(now), "{text}");
    std::fs::write(path, text.replace(now, then)).unwrap();
}

/// Continues the run up to a step that it has done, so that it only completes what it has begun.
fn go_on(at: &Path, step: u64) {
    let steps = format!("train.steps={step}");
    let sets = ["train.health.on-failure=warn", &steps];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    succeed(at, &[&["-q", "train", "--resume", "--out", "run"], &sets[..]].concat());
}

#[test]
fn what_cannot_be_watched_is_said_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    let none = ["train.evaluate.every-kimg=1", "train.evaluate.features=none.safetensors"];
    let none: Vec<&str> = none.iter().flat_map(|set| ["--set", *set]).collect();
    let error = fail(at, &small_with(&args, &none), 2);
    assert!(error.contains("train.evaluate.features: none.safetensors: no such file"), "{error}");
    std::fs::write(at.join("broken.safetensors"), "broken").unwrap();
    let broken = ["train.evaluate.every-kimg=1", "train.evaluate.features=broken.safetensors"];
    let broken: Vec<&str> = broken.iter().flat_map(|set| ["--set", *set]).collect();
    assert!(fail(at, &small_with(&args, &broken), 1).contains("broken.safetensors: is truncated"));
    let blind = ["--set", "train.health.every=0", "--set", "train.health.on-failure=stop"];
    assert!(fail(at, &small_with(&args, &blind), 2).contains("train.health.every: expected above 0"));
    assert!(!at.join("run").exists());
    // A network that cannot be trained with this penalty leaves no files that would count as a run.
    let coupled =
        ["train", "--out", "run", "--set", "model.discriminator.norm=batch", "--set", "train.steps=1"];
    for _ in 0..2 {
        let error = fail(at, &coupled, 2);
        assert!(error.contains("train.r1: no such penalty on this discriminator: BatchNorm2d("), "{error}");
        assert!(error.contains("couples the samples"), "{error}");
    }
}

#[test]
fn what_cannot_be_diagnosed_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    assert!(fail(at, &["diagnose", "none"], 2).contains("none: no such file or directory"));
    let args = small("run");
    succeed(at, &small_with(&args, &["--set", "train.health.every=0"]));
    let error = fail(at, &["diagnose", "run"], 2);
    assert!(
        error.contains("holds no word of the run's health: train.health.every was 0, or there were too few"),
        "{error}"
    );
    std::fs::write(at.join("run/metrics.jsonl"), "").unwrap();
    let error = fail(at, &["diagnose", "run"], 2);
    assert!(error.contains("holds no word of the run's health: it is empty"), "{error}");
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
    succeed(at, &small_with(&small("one"), &["--set", "train.steps=20"]));
    assert!(succeed(at, &["diagnose", "one"]).contains("no verdict in 1 check up to step 20"));
    // After two checks a run is not called healthy, and damaged lines are reported.
    let args = small("two");
    succeed(at, &small_with(&args, &[]));
    let metrics = at.join("two/metrics.jsonl");
    let text = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(&metrics, text.clone() + "garbage\n").unwrap();
    let output = run(at, &["diagnose", "two"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("no verdict in 2 checks up to step 40 (some verdicts need 16"), "{shown}");
    let log = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().count() + 1;
    assert!(log.contains(&format!("passing over line {last}, which is damaged or does not follow")), "{log}");
    let json: Value = serde_json::from_str(&succeed(at, &["-q", "diagnose", "two", "--json"])).unwrap();
    // Without the measurements of the data, the checks after them mean nothing.
    let baseline = text.lines().position(|line| line.contains("\"baseline\"")).unwrap() + 1;
    std::fs::write(&metrics, text.replace("\"baseline\"", "\"bazeline\"")).unwrap();
    let error = fail(at, &["diagnose", "two"], 2);
    let expected = format!("holds no word of the run's health: line {baseline} is damaged");
    assert!(error.contains(&expected), "{error}");
    assert!(json["last"]["images"]["distance"].is_f64() && json["verdicts"] == Value::Array(vec![]));
    // Two images are too few for health checks, but enough for training.
    let args = small("few");
    succeed(at, &small_with(&args, &["--set", "data.limit=2", "--set", "data.batch-size=2"]));
}

/// A run without verdicts may have learned nothing.
#[test]
fn a_run_that_has_learned_nothing_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let log = |args: &[&str]| String::from_utf8(run(at, args).stderr).unwrap();
    let args = small("run");
    let said = log(&small_with(&args, &["--set", "data.limit=320", "--set", "train.epochs=2"]));
    let few =
        "2 epochs of 320 images are 40 steps, too few to learn much: --set train.epochs=100 makes about 2000";
    assert!(said.contains(few), "{said}");
    assert!(said.contains("no verdict in 2 checks"), "{said}");
    let (_, doubt) =
        said.split_once("the images do not resemble the data: their relative distance is ").unwrap();
    let distance: f64 = doubt.split(',').next().unwrap().parse().unwrap();
    assert!(distance > 1. && doubt.contains("% of them are of the class "), "{doubt}");
    let text = succeed(at, &["diagnose", "run"]);
    assert!(text.contains("the images do not resemble the data"), "{text}");
    // A length in steps is chosen on purpose.
    let args = small("other");
    assert!(!log(&small_with(&args, &["--set", "train.health.every=0"])).contains("WARN"));
}
