//! Tests that files of other runs and other data are not taken for those of a run.

use crate::program::{fail, run, small, small_with, succeed, without_checksums};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::path::Path;

/// Standard error of a command that succeeds.
fn log(at: &Path, args: &[&str]) -> String {
    let output = run(at, args);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

/// The settings of a short run, and one more.
fn short(change: &str) -> Vec<&str> {
    vec!["--set", "train.steps=10", "--set", "train.health.every=0", "--set", change]
}

/// Writes gray pictures of 28x28 that differ from each other.
fn pictures(directory: &Path, count: u32) {
    std::fs::create_dir_all(directory).unwrap();
    for n in 0..count {
        let image = GrayImage::from_fn(28, 28, |x, y| Luma([(x * 5 + y * 3 + n) as u8]));
        image.save(directory.join(format!("{n:03}.png"))).unwrap();
    }
}

#[test]
fn weights_of_another_run_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("own"), &short("seed=0")));
    let weights = "generator.safetensors";
    for (change, expected) in [
        ("seed=7", "seed: expected 0 as in own/config.toml, found 7"),
        ("train.loss=hinge", "train.loss: expected non-saturating as in own/config.toml, found hinge"),
        (
            "train.generator.lr=0.003",
            "train.generator.lr: expected 0.0002 as in own/config.toml, found 0.003",
        ),
        ("data.limit=4000", "data.limit: expected the default as in own/config.toml, found 4000"),
        ("train.steps=12", "train.steps: expected 10 or fewer as in own/config.toml, found 12"),
    ] {
        let _ = std::fs::remove_dir_all(at.join("other"));
        succeed(at, &small_with(&small("other"), &short(change)));
        let own = std::fs::read(at.join("own").join(weights)).unwrap();
        std::fs::copy(at.join("other").join(weights), at.join("own").join(weights)).unwrap();
        for command in [&["sample", "own"][..], &["evaluate", "own"], &["inspect", "own"]] {
            let error = fail(at, command, 2);
            assert!(error.contains(expected) && error.contains("does not belong to this run"), "{error}");
        }
        std::fs::write(at.join("own").join(weights), own).unwrap();
    }
    // An average of weights, in a run that keeps none.
    std::fs::copy(at.join("own").join(weights), at.join("own/ema.safetensors")).unwrap();
    let warning = log(at, &["sample", "own", "--count", "4", "--out", "a.png"]);
    assert!(warning.contains("passing over own/ema.safetensors: the run has no [train.ema]"), "{warning}");

    succeed(at, &small_with(&small("kept"), &short("train.ema.half-life-kimg=1")));
    assert!(!log(at, &["sample", "kept", "--count", "4", "--out", "b.png"]).contains("WARN"));
    std::fs::remove_file(at.join("kept/ema.safetensors")).unwrap();
    let warning = log(at, &["sample", "kept", "--count", "4", "--out", "c.png"]);
    assert!(
        warning.contains("kept/ema.safetensors is missing: drawing from the weights of the last"),
        "{warning}"
    );
}

#[test]
fn weights_of_a_run_on_other_pictures_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let evaluate = ["train.evaluate.every-kimg=0", "train.evaluate.count=64", "data.name=folder"];
    let evaluate: Vec<&str> = evaluate.iter().flat_map(|set| ["--set", *set]).collect();
    let train = |out: &str, data: &str, more: &[&str]| {
        let more = [&["--data-dir", data], &evaluate[..], more].concat();
        succeed(at, &small_with(&small(out), &[&short("seed=0")[..], &more].concat()));
    };
    pictures(&at.join("faces"), 140);
    pictures(&at.join("others"), 141);
    std::fs::remove_file(at.join("others/000.png")).unwrap();
    pictures(&at.join("few"), 17);
    let few = [&["--data-dir", "few"], &evaluate[..]].concat();
    let error = fail(at, &small_with(&small("none"), &few), 2);
    assert!(
        error
            .ends_with("train.evaluate: expected at least 64 held-out real images, found 8 images of folder"),
        "{error}"
    );
    train("own", "faces", &[]);
    train("other", "others", &[]);
    for file in ["best/generator.safetensors", "best/evaluation.json"] {
        std::fs::copy(at.join("other").join(file), at.join("own").join(file)).unwrap();
    }
    let expected = "own/best/generator.safetensors: data.fingerprint: expected 140 images, ";
    for command in [&["sample", "own"][..], &["train", "--out", "own", "--resume"]] {
        let error = fail(at, command, 2);
        assert!(error.contains(expected) && error.contains("does not belong to this run"), "{error}");
    }
    // Older files do not say their settings.
    let file = at.join("own/generator.safetensors");
    std::fs::remove_dir_all(at.join("own/best")).unwrap();
    let bytes = std::fs::read(at.join("other/generator.safetensors")).unwrap();
    std::fs::write(&file, without_settings(&without_checksums(&bytes))).unwrap();
    succeed(at, &["inspect", "own"]);
}

/// A generator's file as earlier versions wrote it.
fn without_settings(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_at(8);
    let (header, tensors) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let description = &mut header["__metadata__"]["gan"];
    let mut gan: serde_json::Value = serde_json::from_str(description.as_str().unwrap()).unwrap();
    assert!(gan["trained"].as_object_mut().unwrap().remove("settings").is_some());
    *description = gan.to_string().into();
    let mut header = header.to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat()
}

#[test]
fn a_run_that_is_longer_is_not_called_shorter() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let set = |steps: &str| format!("train.steps={steps}");
    let (long, brief) = (set("20"), set("10"));
    succeed(at, &small_with(&small("run"), &short(&long)));
    let before = std::fs::read(at.join("run/config.toml")).unwrap();
    let error = fail(at, &small_with(&small("run"), &[&short(&brief)[..], &["--resume"]].concat()), 2);
    assert!(error.contains("train.steps: expected 20 or more, which the run has done, found 10"), "{error}");
    assert!(std::fs::read(at.join("run/config.toml")).unwrap() == before);
    succeed(at, &small_with(&small("run"), &[&short(&long)[..], &["--resume"]].concat()));
}

#[test]
fn evaluate_says_if_the_data_are_others_now() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    pictures(&at.join("faces"), 140);
    let sets = ["--data-dir", "faces", "--set", "data.name=folder", "--set", "train.steps=4"];
    succeed(at, &small_with(&small("run"), &[&sets[..], &["--set", "train.health.every=0"]].concat()));
    let evaluate = ["evaluate", "run", "--count", "64"];
    assert!(!log(at, &evaluate).contains("the run was trained on"));
    pictures(&at.join("faces"), 150);
    let warning = log(at, &evaluate);
    let expected = "the run was trained on 140 images, and there are other data now (150 images in ";
    assert!(warning.contains(expected), "{warning}");
    // Other data on purpose.
    let said = log(at, &[&evaluate[..], &["--data-dir", "faces"]].concat());
    assert!(
        !said.contains("WARN") && said.contains("INFO these images differ from those of the run"),
        "{said}"
    );
}

#[test]
fn pictures_that_are_not_square_are_not_judged_silently() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    pictures(&at.join("pairs"), 68);
    for n in 0..2 {
        let image = RgbImage::from_fn(56, 28, |x, y| Rgb([x as u8 + n, y as u8, 9]));
        image.save(at.join(format!("pairs/wide-{n}.png"))).unwrap();
    }
    let warning = log(at, &["evaluate", "--samples", "pairs", "--count", "64"]);
    assert!(
        warning.contains("2 of the pictures are not square: only their central squares are judged"),
        "{warning}"
    );
}

#[test]
fn a_resume_needs_the_same_names_of_classes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for class in ["cat", "dog"] {
        pictures(&at.join("pets").join(class), 30);
    }
    let sets = ["--data-dir", "pets", "--set", "data.name=folder", "--set", "model.classes=2"];
    succeed(at, &small_with(&small("run"), &[&short("seed=0")[..], &sets].concat()));
    let more = ["train", "--out", "run", "--resume", "--set", "train.steps=12"];
    std::fs::rename(at.join("pets/dog"), at.join("pets/eel")).unwrap();
    let error = fail(at, &more, 2);
    let expected = "class 1 was \"dog\" in the run to resume, and is \"eel\" now (60 images in ";
    assert!(error.contains(expected), "{error}");
    std::fs::rename(at.join("pets/eel"), at.join("pets/dog")).unwrap();
    succeed(at, &more);
    // The first picture is always held out, and it is the only one of its class.
    std::fs::remove_dir_all(at.join("pets/dog")).unwrap();
    let label = |n: u32| serde_json::json!([format!("cat/{n:03}.png"), u8::from(n == 0)]);
    let labels: Vec<_> = (0..30).map(label).collect();
    let json = serde_json::json!({ "labels": labels, "classes": ["cat", "dog"] });
    std::fs::write(at.join("pets/dataset.json"), json.to_string()).unwrap();
    let held = [&sets[..], &["--set", "data.hold-out=0.1"]].concat();
    let error = fail(at, &small_with(&small("held"), &[&short("seed=0")[..], &held].concat()), 2);
    assert!(error.contains("model.classes: the training images hold none of class 1 (dog)"), "{error}");
}

#[test]
fn an_archive_of_pictures_is_judged_as_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    pictures(&at.join("fakes"), 68);
    succeed(at, &["data", "prepare", "fakes", "--size", "28", "--gray", "--out", "fakes.zip"]);
    let judged = |samples| {
        let report = succeed(at, &["evaluate", "--samples", samples, "--count", "64", "--json"]);
        let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report.as_object_mut().unwrap().remove("subject").unwrap(), samples);
        report
    };
    assert_eq!(judged("fakes.zip"), judged("fakes"));
    let output = run(at, &["evaluate", "--samples", "fakes", "--seed", "3"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("'--samples <PATH>' cannot be used with '--seed <SEED>'"), "{error}");
}

#[test]
fn nothing_is_deleted_if_a_name_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2", "--set", "train.health.every=0"]));
    let sample = ["sample", "run", "--count", "5", "--out", "out/"];
    succeed(at, &sample);
    std::fs::remove_file(at.join("out/3.png")).unwrap();
    std::fs::create_dir(at.join("out/3.png")).unwrap();
    let first = std::fs::read(at.join("out/0.png")).unwrap();
    let error = fail(at, &[&sample[..], &["--seed", "9", "--replace"]].concat(), 2);
    assert!(error.contains("out/3.png: expected a file or nothing, found a directory"), "{error}");
    assert!(std::fs::read(at.join("out/0.png")).unwrap() == first);
    assert_eq!(std::fs::read_dir(at.join("out")).unwrap().count(), 5);
}

#[test]
fn data_info_reads_the_directory_that_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let error = fail(directory.path(), &["data", "info", "--data", "mnist-5k", "--data-dir", "."], 2);
    assert!(error.contains("--data mnist-5k is embedded and has no --data-dir"), "{error}");
}
