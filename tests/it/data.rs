//! Tests data sets by name: what `data info` reports, both options for the name, and training on
//! many classes.

use crate::program::{fail, run, small, small_with, succeed};
use gan_data::idx::{self, IdxImages};
use std::path::Path;

/// Writes CIFAR-100's training file with one image of each class.
fn cifar_100(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    let records = (0..100_u8).flat_map(|class| [&[class / 5, class][..], &[class * 2; 3072]].concat());
    std::fs::write(directory.join("train.bin"), records.collect::<Vec<u8>>()).unwrap();
}

/// Writes EMNIST's balanced training files with two images of each class.
fn emnist(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    let images =
        IdxImages { count: 94, rows: 28, cols: 28, pixels: (0..94 * 784).map(|n| n as u8).collect() };
    let file = |part: &str| directory.join(format!("emnist-balanced-train-{part}-ubyte.gz"));
    idx::write_images_gz(file("images-idx3"), &images).unwrap();
    idx::write_labels_gz(file("labels-idx1"), &(0..94).map(|n| n % 47).collect::<Vec<u8>>()).unwrap();
}

#[test]
fn data_info_names_the_classes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    cifar_100(&at.join("cifar"));
    let text = succeed(at, &["data", "info", "--data", "cifar-100", "--data-dir", "cifar"]);
    for line in [
        "cifar-100 train: 100 images, 32x32 RGB",
        "  classes  0 apple: 1  1 aquarium_fish: 1  2 baby: 1",
        "99 worm: 1\n",
        "test: no files in cifar",
        "No SHA-256 of CIFAR-100's files is known.",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    assert_eq!(text, succeed(at, &["data", "info", "--name", "cifar-100", "--data-dir", "cifar"]));
    let error = fail(at, &["data", "info", "--data", "cifar-10", "--data-dir", "cifar"], 1);
    assert!(error.contains("data_batch_1.bin"), "{error}");
    let error = fail(at, &["data", "info", "--data", "kmnist"], 2);
    assert!(error.contains("a directory for name = \"kmnist\""), "{error}");
}

#[test]
fn the_name_is_spelled_in_one_way_and_the_other_still_works() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for command in [&["evaluate", "--help"][..], &["data", "info", "--help"], &["data", "download", "--help"]]
    {
        let help = succeed(at, command);
        assert!(help.contains("--data <NAME>") && !help.contains("--name"), "{help}");
        assert!(help.contains("mnist") && help.contains("MNIST's digits"), "{help}");
    }
    assert!(succeed(at, &["evaluate", "--help"]).contains("emnist-balanced"));
    assert!(!succeed(at, &["data", "download", "--help"]).contains("emnist-balanced"));
    for spelling in ["--data", "--name"] {
        let text = succeed(at, &["data", "info", spelling, "mnist-5k"]);
        assert!(text.contains("mnist-5k train: 5000 images"), "{text}");
        let output = run(at, &["data", "info", spelling, "nist"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && stderr.contains("stacked-mnist"), "{stderr}");
        let args = ["evaluate", "--samples", "none.npy", spelling, "mnist-5k"];
        assert!(fail(at, &args, 2).contains("none.npy: no such file"));
    }
}

#[test]
fn a_run_may_have_more_than_ten_classes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    emnist(&at.join("emnist"));
    let emnist =
        ["--data-dir", "emnist", "--set", "data.name=emnist-balanced", "--set", "train.health.every=0"];
    let train = |classes: &'static str| [&emnist[..], &["--set", classes]].concat();
    succeed(at, &small_with(&small("run"), &train("model.classes=47")));
    succeed(at, &["sample", "run", "--class", "46", "--count", "2", "--out", "t.png"]);

    let error = fail(at, &small_with(&small("other"), &train("model.classes=46")), 2);
    assert!(
        error.contains("model.classes: expected 47, the classes of emnist-balanced, found 46"),
        "{error}"
    );
    // The error is found before any file is read, because the directory is empty.
    std::fs::create_dir(at.join("empty")).unwrap();
    let args = ["--data-dir", "empty", "--set", "data.name=emnist-balanced", "--set", "model.classes=48"];
    let error = fail(at, &small_with(&small("other"), &args), 2);
    assert!(
        error.contains("model.classes: expected 47, the classes of emnist-balanced, found 48"),
        "{error}"
    );
}

#[test]
fn colours_are_trained_on_and_judged_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    cifar_100(&at.join("cifar"));
    let sets = ["--data-dir", "cifar", "--set", "data.name=cifar-100", "--set", "model.channels=3"];
    let more = ["--set", "model.image-size=32", "--set", "model.classes=100"];
    succeed(at, &small_with(&small("run"), &[&sets[..], &more].concat()));
    // Half of the 100 images is too few for an evaluation. The error comes after the data are read.
    let error = fail(at, &["evaluate", "run", "--count", "64"], 2);
    assert!(error.contains("expected at least 64 images to judge, found 50"), "{error}");
    let output = run(at, &["evaluate", "run", "--count", "64"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("the features were learned on mnist"), "{stderr}");
}
