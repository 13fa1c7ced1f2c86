//! Tests the classifier that a user trains on pictures with labels.

use crate::program::{fail, run, small, small_with, succeed};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::path::Path;

const COLOURS: [(&str, [u8; 3]); 4] =
    [("blue sky", [30, 40, 230]), ("grass", [30, 200, 40]), ("red", [220, 30, 30]), ("sun", [230, 210, 40])];

/// Writes 40 pictures of squares for each of four colours, each colour in its own directory.
fn squares(directory: &Path) {
    for (class, (name, colour)) in COLOURS.into_iter().enumerate() {
        std::fs::create_dir_all(directory.join(name)).unwrap();
        for n in 0..40u32 {
            let (left, top, side) = (2 + n % 7, 2 + n / 7 % 9, 10 + (n + class as u32) % 11);
            let image = RgbImage::from_fn(32, 32, |x, y| {
                let is_inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
                Rgb(if is_inside { colour } else { [20 + (n % 5) as u8; 3] })
            });
            image.save(directory.join(name).join(format!("{n:03}.png"))).unwrap();
        }
    }
}

const TRAIN: [&str; 9] =
    ["train-classifier", "--data", "folder", "--data-dir", "squares", "--size", "32", "--epochs", "40"];

fn json(at: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&succeed(at, &[&["-q", "evaluate", "--json"], args].concat())).unwrap()
}

#[test]
fn a_classifier_of_own_pictures_judges_their_generator_by_class() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    let log = run(at, &[&TRAIN[..], &["--hold-out", "0.5", "--out", "own.safetensors"]].concat());
    let log = String::from_utf8(log.stderr).unwrap();
    assert!(log.contains("80 training images of 4 classes, 32x32 RGB, and 80 to test with"), "{log}");
    assert!(log.contains("test accuracy 100.00%; wrote own.safetensors"), "{log}");

    let model = ["--set", "model.channels=3", "--set", "model.image-size=32", "--set", "model.classes=4"];
    let data = ["--data-dir", "squares", "--set", "data.name=folder", "--set", "data.hold-out=0.5"];
    let judge = [
        "--set",
        "train.evaluate.every-kimg=0",
        "--set",
        "train.evaluate.count=64",
        "--set",
        "train.evaluate.features=own.safetensors",
    ];
    succeed(at, &small_with(&small("run"), &[&data[..], &model, &judge].concat()));
    let report = json(at, &["run", "--features", "own.safetensors"]);
    let (generated, floor) = (&report["generated"], &report["floor"]);
    assert_eq!(report["features"], "folder");
    assert_eq!(floor["accuracy"]["overall"], 1.0, "{report}");
    assert!(generated["accuracy"]["overall"].as_f64().unwrap() < 0.9, "{report}");
    let [ours, real] = [generated, floor].map(|side| side["folder_fd"].as_f64().unwrap());
    assert!(ours > 5. * real.abs(), "{report}");
    let table = succeed(at, &["-q", "evaluate", "run", "--features", "own.safetensors"]);
    for part in [": 80 images, RGB\n", "\nfolder-fd ", "\nblue sky  ", "\nclass accuracy  "] {
        assert!(table.contains(part), "{part}: {table}");
    }
    // The run judged itself by class too.
    let text = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let evaluated = lines.filter_map(|line| line.get("evaluate").cloned()).next_back().unwrap();
    assert!(evaluated["accuracy"]["overall"].is_f64() && evaluated["folder_fd"].is_f64(), "{evaluated}");

    let error = fail(at, &["inspect", "own.safetensors"], 1);
    assert!(error.contains("own.safetensors: expected a generator, found a classifier"), "{error}");
    // With another share, the classifier has seen some of the held-out pictures.
    succeed(at, &[&TRAIN[..], &["--out", "other.safetensors"]].concat());
    for (file, expected) in [("own.safetensors", false), ("other.safetensors", true)] {
        let log = String::from_utf8(run(at, &["evaluate", "run", "--features", file]).stderr).unwrap();
        assert_eq!(log.contains("with --hold-out 0.1, and data.hold-out is 0.5: it may have seen"), expected);
        assert_eq!(log.contains("WARN"), expected, "{log}");
    }
    // On other parts of the pictures, it is not what it was.
    let cut = ["--hold-out", "0.5", "--crop", "2,3,20", "--out", "cut.safetensors"];
    succeed(at, &[&TRAIN[..], &cut].concat());
    let log =
        String::from_utf8(run(at, &["evaluate", "run", "--features", "cut.safetensors"]).stderr).unwrap();
    let expected = "trained with the crop 2,3,20, and the data have centre: it does not see";
    assert!(log.contains(expected), "{log}");
    // An archive of these parts is what it was trained on.
    let prepare = ["data", "prepare", "squares", "--size", "32", "--crop", "2,3,20", "--out", "cut.zip"];
    succeed(at, &prepare);
    let on_parts = ["evaluate", "run", "--data-dir", "cut.zip", "--features"];
    for (file, expected) in
        [("cut.safetensors", None), ("own.safetensors", Some("the crop centre, and the data have 2,3,20"))]
    {
        let log = String::from_utf8(run(at, &[&on_parts[..], &[file]].concat()).stderr).unwrap();
        assert_eq!(log.contains("as it learned them"), expected.is_some(), "{log}");
        assert!(expected.is_none_or(|expected| log.contains(expected)), "{log}");
    }
    // With another classifier under the same name, the run's distances cannot be compared.
    for (file, expected) in [("own.safetensors", false), ("other.safetensors", true)] {
        std::fs::copy(at.join(file), at.join("own.safetensors.new")).unwrap();
        std::fs::rename(at.join("own.safetensors.new"), at.join("own.safetensors")).unwrap();
        let output = run(at, &["train", "--resume", "--out", "run", "--data-dir", "squares"]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        assert_eq!(
            log.contains("run/best: the next evaluation replaces the generator of"),
            expected,
            "{log}"
        );
    }
    // Other pictures have other classes, and their names tell.
    std::fs::rename(at.join("squares/sun"), at.join("squares/moon")).unwrap();
    let output = run(at, &["evaluate", "run", "--features", "own.safetensors"]);
    let [table, log] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let expected = "the classifier knows the classes blue sky, grass, red, sun, and the data have the \
                    classes blue sky, grass, moon, red: no accuracy is computed";
    assert!(log.contains(expected) && !table.contains("accuracy"), "{log}{table}");
}

#[test]
fn what_no_classifier_can_be_trained_on_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    let refused = |more: &[&str]| fail(at, &[&TRAIN[..], more].concat(), 2);
    std::fs::write(at.join("taken"), "").unwrap();
    assert!(refused(&["--out", "taken"]).contains("--out taken: exists already"));
    assert!(refused(&["--out", "no/own"]).contains("--out no/own: there is no directory no"));
    let error =
        fail(at, &["train-classifier", "--data", "folder", "--data-dir", "squares", "--size", "40"], 2);
    assert!(error.contains("--size: expected one of 28, 32, 64, 128, found 40"), "{error}");
    // One step teaches nothing.
    let chance = ["--hold-out", "0.5", "--out", "bad.safetensors", "--epochs", "1"];
    let chance = [&TRAIN[..TRAIN.len() - 2], &chance].concat();
    let log = String::from_utf8(run(at, &chance).stderr).unwrap();
    assert!(
        log.contains("WARN it is right no more often (25.00%) than somebody who always names the largest class (25.00%)"),
        "{log}"
    );
    // It means nothing later either, and digits have other classes.
    succeed(at, &small_with(&small("run"), &[]));
    let output = run(at, &["evaluate", "run", "--features", "bad.safetensors", "--count", "64"]);
    let log = String::from_utf8(output.stderr).unwrap();
    let expected = "WARN the classifier is right no more often (25%) than somebody who always names the largest class: \
                    its features mean nothing";
    assert!(log.contains(expected), "{log}");
    let expected = "WARN the classifier knows the classes blue sky, grass, red, sun, and the data have those of \
                    mnist-5k: no accuracy is computed";
    assert!(log.contains(expected), "{log}");
    let error = refused(&["--hold-out", "0.7"]);
    assert!(error.contains("data.hold-out: expected a share above 0 and up to 0.5, found 0.7"), "{error}");
    let of = |dir: &str| fail(at, &["train-classifier", "--data", "folder", "--data-dir", dir], 2);
    let error = of("squares/red");
    assert!(error.contains("squares/red: a classifier needs labels: a directory for each class"), "{error}");
    std::fs::create_dir_all(at.join("one/outer/red")).unwrap();
    std::fs::create_dir_all(at.join("one/outer/empty")).unwrap();
    std::fs::copy(at.join("squares/red/000.png"), at.join("one/outer/red/0.png")).unwrap();
    let error = of("one");
    assert!(error.contains("data.hold-out: "), "{error}");
    assert!(!at.join("classifier.safetensors").exists());
}
