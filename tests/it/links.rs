//! Tests of links and pipes in a run, which could lead what it writes and deletes outside, or block it.

use crate::own_files::{listing, write};
use crate::program::{fail, run, small, small_with, succeed};
use std::path::Path;

#[test]
fn links_to_nowhere_are_no_places_for_output() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
    for out in ["link.png", "link"] {
        std::os::unix::fs::symlink("nowhere", at.join(out)).unwrap();
        let expected = format!("--out {out}: is a symbolic link to a place that does not exist");
        let error = fail(at, &["sample", "run", "--count", "1", "--out", out], 2);
        assert!(error.contains(&expected), "{error}");
        let error = fail(at, &small_with(&small(out), &[]), 2);
        assert!(error.contains(&expected), "{error}");
        assert!(at.join(out).is_symlink());
    }
    let error = fail(at, &["sample", "run", "--count", "1", "--out", "link/"], 2);
    assert!(error.contains("--out link: is a symbolic link"), "{error}");
}

#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("whole"), &["--set", "train.steps=10"]));
    let others = at.join("others");
    for name in
        [".lock", "metrics.jsonl", "config.toml", "generator.safetensors", "checkpoints", "samples", "best"]
    {
        let run = format!("run-{name}");
        let args = small(&run);
        succeed(at, &small_with(&args, &["--set", "train.steps=10"]));
        // The content moves elsewhere, and a link takes its place.
        let (place, target) = (at.join(&run).join(name), others.join(&run));
        std::fs::create_dir_all(&others).unwrap();
        if name == "best" {
            write(&target.join("generator.safetensors"), "kept");
        } else {
            std::fs::rename(&place, &target).unwrap();
        }
        if name == ".lock" {
            std::fs::write(&target, "kept").unwrap();
        }
        symlink(&target, &place).unwrap();
        let before = listing(&target);
        let error = fail(at, &["train", "--out", &run, "--resume", "--set", "train.steps=20"], 2);
        assert!(error.contains(name) && error.contains("symbolic link"), "{error}");
        assert_eq!(listing(&target), before, "{name}");
    }
    for name in [
        "ema.safetensors",
        "checkpoints/step-00000010",
        "samples/step-00000010.png",
        "best/generator.safetensors",
    ] {
        linked(at, name);
    }
    linked(at, "events.out.tfevents");
    // The run's directory itself may be a link.
    symlink(at.join("whole"), at.join("link")).unwrap();
    succeed(at, &["train", "--out", "link", "--resume", "--set", "train.steps=20"]);
}

/// Makes a link of a file or directory in a run with everything, and goes on with the run. It may refuse
/// that. If not, it may replace the link, but not what is behind it.
fn linked(at: &Path, name: &str) {
    let run = at.join("full");
    let sets = [
        "train.steps=10",
        "train.keep=1",
        "train.ema={ half-life-kimg = 1.0 }",
        "train.evaluate.every-kimg=0",
        "train.evaluate.count=64",
        "train.tensorboard=true",
        "data.limit=600",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    succeed(at, &small_with(&small("full"), &sets));
    let name = listing(&run).into_iter().map(|(path, _)| path).find_map(|path| {
        let inside = path.strip_prefix(&run).unwrap().to_str().unwrap().to_owned();
        inside.starts_with(name).then(|| if inside.contains(".tfevents") { inside } else { name.to_owned() })
    });
    let name = name.unwrap();
    let (place, target) = (run.join(&name), at.join("behind"));
    std::fs::rename(&place, &target).unwrap();
    std::os::unix::fs::symlink(&target, &place).unwrap();
    let before = listing(&target);
    let ended = crate::program::run(at, &["train", "--out", "full", "--resume", "--set", "train.steps=20"]);
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(listing(&target), before, "{name}: {stderr}");
    match ended.status.code() {
        Some(0) => assert!(name.contains('/') || name.contains(".tfevents"), "{name}"),
        Some(2) => assert!(stderr.contains(&name) && stderr.matches("ERROR").count() == 1, "{stderr}"),
        code => panic!("{name}: {code:?}: {stderr}"),
    }
    std::fs::remove_dir_all(&run).unwrap();
    if target.is_dir() {
        std::fs::remove_dir_all(target).unwrap();
    } else {
        std::fs::remove_file(target).unwrap();
    }
}

#[test]
fn pipes_in_a_run_are_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let pipe = |path: &Path| {
        let _ = std::fs::remove_file(path);
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    for name in [
        "metrics.jsonl",
        "generator.safetensors",
        ".lock",
        "checkpoints/step-00000010/state.json",
        "config.toml",
    ] {
        let out = format!("run-{}", name.replace(['/', '.'], "-"));
        let args = small(&out);
        succeed(at, &small_with(&args, &["--set", "train.steps=10"]));
        pipe(&at.join(&out).join(name));
        let output = run(at, &["train", "--out", &out, "--resume", "--set", "train.steps=20"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains("a pipe, a socket or a device"), "{stderr}");
        if name == "metrics.jsonl" {
            assert!(fail(at, &["diagnose", &out], 1).contains("a pipe, a socket or a device"));
        }
        if name == "config.toml" {
            // What needs the configuration says what is there.
            for command in ["compare", "report"] {
                let error = fail(at, &[command, &out], 2);
                assert!(error.contains("expected the directory of a run, with config.toml"), "{error}");
            }
            let error = fail(at, &["evaluate", &out], 1);
            assert!(error.contains("config.toml: expected a regular file, found a pipe"), "{error}");
            // These need only the weights or the grids.
            for command in ["inspect", "sample", "timelapse", "walk"] {
                succeed(at, &[command, &out]);
            }
        }
        if name == "generator.safetensors" {
            let error = fail(at, &["sample", &out, "--out", "x.png"], 1);
            assert!(error.contains("a pipe, a socket or a device"), "{error}");
        }
    }
    // Grids, and a page that would be replaced.
    let args = small("grids");
    succeed(at, &small_with(&args, &["--set", "train.steps=4", "--set", "train.sample-every=2"]));
    pipe(&at.join("page.html"));
    let error = fail(at, &["report", "grids", "--out", "page.html"], 2);
    assert!(error.contains("page.html exists, and is not a regular file"), "{error}");
    pipe(&at.join("grids/samples/step-00000002.png"));
    for command in [&["report", "grids", "--out", "x.html"][..], &["timelapse", "grids", "--out", "x.gif"]] {
        let error = fail(at, command, 1);
        assert!(
            error.contains("step-00000002.png") && error.contains("a pipe, a socket or a device"),
            "{error}"
        );
    }
}
