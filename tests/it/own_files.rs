//! Tests that a run touches only its own files, and goes on only from what is whole.

use crate::program::{fail, gan_cli, run, small, small_with, succeed};
use std::path::Path;

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_files_of_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let others = [
        "run/.tmp-notes",
        "run/.tmp-secret",
        "run/.draft.tmp",
        "run/notes.txt",
        "run/samples/.old.tmp",
        "run/samples/step-7.png",
        "run/checkpoints/.tmp-ab12cd/model.pt",
        "run/checkpoints/mine/model.pt",
    ];
    write(&at.join("run/notes.txt"), "kept");
    // A few steps at a time, so that the run is opened often, and prunes.
    for steps in ["train.steps=10", "train.steps=30", "train.steps=40"] {
        let args = small("run");
        succeed(at, &small_with(&args, &["--resume", "--set", steps]));
        for other in others {
            write(&at.join(other), "kept");
        }
    }
    succeed(at, &["train", "--out", "run", "--resume"]);
    for other in others {
        assert_eq!(read(&at.join(other)), b"kept", "{other}");
    }
    assert!(!at.join("run/checkpoints/step-00000010").exists());
}

#[test]
fn what_a_run_would_write_over_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for other in ["checkpoints/step-1/model.pt", "best/model.pt", "samples/a.png", "ema.safetensors"] {
        let out = format!("{}-run", other.replace('/', "-"));
        let file = at.join(&out).join(other);
        write(&file, "kept");
        let args = small(&out);
        for more in [&[][..], &["--resume"]] {
            let error = fail(at, &small_with(&args, more), 2);
            assert!(error.contains("is there, but no config.toml of a run"), "{error}");
        }
        assert_eq!(read(&file), b"kept");
    }
    // Other programs have files of the same names, and they are not called a run.
    for other in ["metrics.jsonl", "config.toml", "generator.safetensors"] {
        let out = format!("{}-run", other.replace('.', "-"));
        let file = at.join(&out).join(other);
        write(&file, "{\"loss\":1}\n");
        let args = small(&out);
        for more in [&[][..], &["--resume"]] {
            let error = fail(at, &small_with(&args, more), 2);
            let expected = format!(
                "{out}/{other} is there, but no checkpoints of a run: a run would write over it; choose \
                 another --out"
            );
            assert!(error.ends_with(&expected), "{error}");
        }
        assert_eq!(read(&file), b"{\"loss\":1}\n");
        assert_eq!(std::fs::read_dir(at.join(&out)).unwrap().count(), 1);
    }
    // Neither do checkpoints or a lock of theirs make a run.
    for (other, beside) in [
        ("config.toml", "checkpoints/epoch1.pt"),
        ("metrics.jsonl", "checkpoints/a"),
        ("config.toml", ".lock"),
    ] {
        let out = format!("{other}-{}", beside.replace('/', "-"));
        let [file, beside] = [other, beside].map(|name| at.join(&out).join(name));
        write(&file, "model: x\n");
        write(&beside, "kept");
        let args = small(&out);
        for more in [&[][..], &["--resume"]] {
            let error = fail(at, &small_with(&args, more), 2);
            assert!(
                error.contains(&format!("{out}/{other}")) || error.contains("already holds a run"),
                "{error}"
            );
            assert_eq!((read(&file), read(&beside)), (b"model: x\n".to_vec(), b"kept".to_vec()));
        }
    }
    // The best generator of another run is not taken for this run's own.
    succeed(
        at,
        &small_with(
            &small("old"),
            &[
                "--set",
                "train.steps=2",
                "--set",
                "train.evaluate.every-kimg=0",
                "--set",
                "train.evaluate.count=64",
            ],
        ),
    );
    std::fs::create_dir(at.join("new")).unwrap();
    std::fs::rename(at.join("old/best"), at.join("new/best")).unwrap();
    let before = listing(&at.join("new"));
    assert_eq!(before.len(), 2);
    let args = small("new");
    for more in [&[][..], &["--resume"]] {
        let error = fail(at, &small_with(&args, more), 2);
        assert!(error.contains("new/best is there, but no config.toml of a run"), "{error}");
    }
    assert_eq!(listing(&at.join("new")), before);
    // In a run, a directory with a checkpoint's name must be one.
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
    let file = at.join("run/checkpoints/step-1/model.pt");
    write(&file, "kept");
    let error = fail(at, &["train", "--out", "run", "--resume", "--set", "train.steps=20"], 2);
    assert!(error.contains("run/checkpoints/step-1: not a checkpoint of this program"), "{error}");
    assert_eq!(read(&file), b"kept");
}

#[test]
fn a_resume_without_its_checkpoints_does_not_start_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
    let before = read(&at.join("run/generator.safetensors"));
    std::fs::remove_dir_all(at.join("run/checkpoints")).unwrap();
    let error = fail(at, &["train", "--out", "run", "--resume", "--set", "train.steps=20"], 2);
    assert!(
        error.contains(
            "run/generator.safetensors has no checkpoint to resume from: the run would start again"
        ),
        "{error}"
    );
    assert_eq!(read(&at.join("run/generator.safetensors")), before);
    // Without its configuration, metrics and weights, a directory is no run.
    succeed(at, &small_with(&small("old"), &["--set", "train.steps=10"]));
    for file in ["config.toml", "metrics.jsonl", "generator.safetensors"] {
        std::fs::remove_file(at.join("old").join(file)).unwrap();
    }
    for more in [&[][..], &["--resume"]] {
        let args = small("old");
        let error = fail(at, &small_with(&args, more), 2);
        assert!(error.contains("old/checkpoints is there, but no config.toml of a run"), "{error}");
    }
}

#[test]
fn a_refused_run_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("empty")).unwrap();
    let wrong = ["--resume", "--set", "train.generator.lr=-1"];
    fail(at, &small_with(&small("empty"), &wrong), 2);
    assert_eq!(std::fs::read_dir(at.join("empty")).unwrap().count(), 0);
    write(&at.join("taken/checkpoints/step-7"), "kept");
    let args = small("taken");
    fail(at, &small_with(&args, &[]), 2);
    assert_eq!(std::fs::read_dir(at.join("taken")).unwrap().count(), 1);
    // Another program's file has the name of a directory of the run. It is found after the lock.
    write(&at.join("file/samples"), "kept");
    let error = fail(at, &small_with(&small("file"), &[]), 2);
    assert!(error.contains("samples: expected a directory, found a file"), "{error}");
    assert_eq!(std::fs::read_dir(at.join("file")).unwrap().count(), 1);
}

/// Every file at `path` with its content.
pub(crate) fn listing(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(path.to_owned(), read(path))];
    }
    let mut paths: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| listing(path)).collect()
}

#[test]
fn a_damaged_journal_is_said_and_nothing_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &[]));
    let (journal, checkpoints) = (at.join("run/metrics.jsonl"), at.join("run/checkpoints"));
    let whole = read(&journal);
    let steps = || std::fs::read_dir(&checkpoints).unwrap().count();
    let before = steps();
    for bit in (0..whole.len() * 8 - 8).step_by(997) {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&journal, &damaged).unwrap();
        let error = fail(at, &["train", "--out", "run", "--resume", "--set", "train.steps=50"], 1);
        assert!(error.contains("run/metrics.jsonl: line ") && error.contains("is damaged"), "{error}");
        assert!(steps() == before && read(&journal) == damaged);
    }
    std::fs::write(&journal, &whole).unwrap();
    succeed(at, &["train", "--out", "run", "--resume", "--set", "train.steps=50"]);
}

/// The line of a rollback makes a resume delete checkpoints, if it believes it.
#[test]
fn a_damaged_rollback_is_said_and_nothing_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets = [
        "train.steps=10",
        "train.checkpoint-every=2",
        "train.health.every=3",
        "train.health.on-failure=rollback",
        "data.batch-size=256",
        "train.generator.lr-schedule={ to = 3.0, over-kimg = 2.56 }",
        "train.discriminator.lr-schedule={ to = 3.0, over-kimg = 2.56 }",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    fail(at, &small_with(&small("run"), &sets), 3);
    let journal = at.join("run/metrics.jsonl");
    let whole = read(&journal);
    let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
    let number = lines.iter().position(|line| line.windows(8).any(|text| text == b"rollback")).unwrap();
    let start: usize = lines[..number].iter().map(|line| line.len()).sum();
    let run = at.join("run");
    let others = || listing(&run).into_iter().filter(|(path, _)| *path != journal).collect::<Vec<_>>();
    let before = others();
    // The end of a line is not part of it.
    for bit in 0..(lines[number].len() - 1) * 8 {
        let mut damaged = whole.clone();
        damaged[start + bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&journal, &damaged).unwrap();
        let error = fail(at, &["train", "--out", "run", "--resume"], 1);
        let expected = format!("run/metrics.jsonl: line {} is damaged", number + 1);
        assert!(error.contains("run/metrics.jsonl: line ") && error.contains("is damaged"), "{bit}: {error}");
        // A line feed in the middle makes two lines of one.
        assert!(error.contains(&expected) || damaged[start + bit / 8] == b'\n', "{bit}: {error}");
        assert!(others() == before && read(&journal) == damaged, "{bit}");
    }
}

#[test]
fn other_data_are_said_in_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let pictures = at.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let picture = |name: &str, value: u8| {
        image::GrayImage::from_fn(28, 28, |x, _| image::Luma([value + x as u8]))
            .save(pictures.join(name))
            .unwrap();
    };
    for i in 0..8 {
        picture(&format!("{i}.png"), i * 9);
    }
    let args = small("run");
    let sets = ["--set", "data.name=folder", "--set", "data.batch-size=4", "--set", "train.steps=4"];
    let args = small_with(&args, &[&sets[..], &["--data-dir", "pictures"]].concat());
    succeed(at, &args);
    picture("8.png", 80);
    let again = ["train", "--out", "run", "--resume", "--data-dir", "pictures"];
    let error = fail(at, &again, 2);
    assert!(error.contains("trained on 8 images, and there are other data now (9 images"), "{error}");
    std::fs::remove_file(pictures.join("8.png")).unwrap();
    picture("7.png", 99);
    let error = fail(at, &again, 2);
    assert!(error.contains("trained on 8 images, and there are others now (8 images"), "{error}");
}

#[test]
fn two_runs_at_once_get_two_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("unused");
    let mut args = small_with(&args, &["--set", "train.steps=20"]);
    let out = args.iter().position(|arg| *arg == "--out").unwrap();
    args.drain(out..out + 2);
    let start = || gan_cli(at, &args).stderr(std::process::Stdio::null()).spawn().unwrap();
    let runs = [start(), start(), start()];
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for name in ["mlp-002", "mlp-002-2", "mlp-002-3"] {
        assert!(at.join("runs").join(name).join("generator.safetensors").exists(), "{name}");
    }
}

#[test]
fn a_resume_where_nothing_is_says_that_it_starts_anew() {
    let directory = tempfile::tempdir().unwrap();
    let args = small("typo");
    let output = run(directory.path(), &small_with(&args, &["--set", "train.steps=2", "--resume"]));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("WARN no checkpoint in typo to resume from: starting with step 1"), "{log}");
}
