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
    let error = fail(at, &["data", "info", "--data", "cifar-10", "--data-dir", "cifar"], 2);
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
fn colours_are_trained_on_and_judged() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    cifar_100(&at.join("cifar"));
    let sets = ["--data-dir", "cifar", "--set", "data.name=cifar-100", "--set", "model.channels=3"];
    let more = ["--set", "model.image-size=32", "--set", "model.classes=100"];
    succeed(at, &small_with(&small("run"), &[&sets[..], &more].concat()));
    // Half of the 100 images is too few for an evaluation. The error comes after the data are read.
    let error = fail(at, &["evaluate", "run", "--count", "64"], 2);
    assert!(error.contains("expected at least 64 held-out images to compare with, found 50"), "{error}");
}

/// Writes training files of MNIST's names: digits of this side with these labels.
fn digits(directory: &Path, side: usize, label: fn(u8) -> u8) {
    std::fs::create_dir_all(directory).unwrap();
    let data = gan_data::mnist_5k().unwrap().spread(1000);
    let labels = data.labels().unwrap().iter().map(|&digit| label(digit as u8)).collect::<Vec<u8>>();
    let data = data.resize(side).unwrap();
    let pixels = (0..data.len()).flat_map(|i| data.image(i).into_owned()).collect();
    let images = IdxImages { count: data.len(), rows: side, cols: side, pixels };
    idx::write_images_gz(directory.join("train-images-idx3-ubyte.gz"), &images).unwrap();
    idx::write_labels_gz(directory.join("train-labels-idx1-ubyte.gz"), &labels).unwrap();
}

/// Exchanges rows and columns of each image.
fn transpose(file: &Path) {
    let mut images = idx::read_images(file).unwrap();
    for image in images.pixels.chunks_mut(images.rows * images.cols) {
        let old = image.to_vec();
        (0..old.len()).for_each(|i| image[i % 28 * 28 + i / 28] = old[i]);
    }
    idx::write_images_gz(file, &images).unwrap();
}

/// The arguments of a run of a small conditional or unconditional network on these files.
fn on_mnist<'a>(args: &'a [String], directory: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let data = ["--data-dir", directory, "--set", "train.health.every=0", "--set", "train.steps=2"];
    small_with(args, &[&data[..], more].concat())
}

#[test]
fn files_that_are_not_what_their_name_says_are_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("MNIST/raw"), 28, |digit| digit);
    digits(&at.join("mixed"), 28, |digit| if digit < 2 { digit } else { digit % 8 + 2 });
    digits(&at.join("turned"), 28, |digit| digit);
    transpose(&at.join("turned/train-images-idx3-ubyte.gz"));
    let warning = |args: &[&str]| {
        let output = run(at, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr.lines().find(|line| line.contains("is right on only")).map(str::to_owned)
    };
    let expected = |set: &str, percent: u8| {
        format!(
            "WARN the classifier of {set} is right on only {percent}% of the real images: are these files \
             really {set} (transposed, another set)?"
        )
    };
    let evaluate = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=500"];
    for (place, expected) in [(".", None), ("mixed", Some(expected("mnist", 20)))] {
        let (out, other) = (format!("run-{}", place.len()), format!("x{}", place.len()));
        let warned = warning(&on_mnist(&small(&out), place, &evaluate));
        assert_eq!(warned.as_deref().map(str::trim), expected.as_deref(), "{place}");
        let warned = warning(&["evaluate", &out, "--count", "500"]);
        assert_eq!(warned.as_deref().map(str::trim), expected.as_deref(), "{place}");
        // Without labels nothing is known.
        let labels = if place == "." { "MNIST/raw" } else { place };
        std::fs::remove_file(at.join(labels).join("train-labels-idx1-ubyte.gz")).unwrap();
        assert_eq!(warning(&on_mnist(&small(&other), place, &evaluate)), None);
    }
    let warned = warning(&on_mnist(&small("turned-run"), "turned", &evaluate)).unwrap();
    assert_eq!(warned.trim(), expected("mnist", 19));
    // Digits under the name of another data set.
    let fashion = [&evaluate[..], &["--set", "data.name=fashion-mnist"]].concat();
    let warned = warning(&on_mnist(&small("fashion"), "turned", &fashion)).unwrap();
    assert_eq!(warned.trim(), expected("fashion-mnist", 5));
}

#[test]
fn padded_digits_train_a_model_of_their_size() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("padded"), 32, |digit| digit);
    // Without a size, a folder's are shown at the size that they have.
    let folder = ["data", "info", "--data", "folder", "--data-dir", "padded"];
    let text = succeed(at, &[&folder[..], &["--out", "grid.png"]].concat());
    assert!(text.contains("folder train: 1000 images, 32x32 gray"), "{text}");
    assert_eq!(image::image_dimensions(at.join("grid.png")).unwrap(), (274, 274));
    let error = fail(at, &[&folder[..], &["--size", "28"]].concat(), 2);
    assert!(error.contains("--size: expected images of 28x28 pixels, found 32x32 in folder ("), "{error}");
    let text = succeed(at, &["data", "info", "--data", "mnist", "--data-dir", "padded"]);
    assert!(text.contains("mnist train: 1000 images, 32x32 gray"), "{text}");
    let error = fail(at, &on_mnist(&small("run"), "padded", &[]), 2);
    let expected = "model.image-size: expected images of 28x28 pixels, found 32x32 in mnist (";
    assert!(error.contains(expected) && error.contains("padded/train-images-idx3-ubyte.gz)"), "{error}");
    succeed(at, &on_mnist(&small("run"), "padded", &["--set", "model.image-size=32"]));
    // What was trained on other digits is not compared with these without a word.
    succeed(at, &small_with(&small("plain"), &["--set", "train.steps=2", "--set", "train.health.every=0"]));
    let error = fail(at, &["evaluate", "plain", "--data", "mnist", "--data-dir", "padded"], 2);
    assert!(error.contains("expected images of 28x28 pixels, found 32x32 in mnist ("), "{error}");
}

#[test]
fn settings_for_pictures_are_refused_for_other_files() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("data"), 28, |digit| digit);
    for (option, key) in [(["--crop", "20"], "crop"), (["--background", "white"], "background")] {
        let folder = ["data", "info", "--data", "folder", "--data-dir", "data"];
        let error = fail(at, &[&folder[..], &option].concat(), 2);
        let expected = format!(
            "data.{key}: expected none, because data has the files of mnist and no pictures, found {}",
            option[1]
        );
        assert!(error.contains(&expected), "{error}");
    }
    for option in [&["--size", "32"][..], &["--crop", "20"], &["--background", "white"], &["--gray"]] {
        let expected = format!("{}: mnist has images of 28x28 gray; this is for folders", option[0]);
        for command in [
            &["data", "info", "--data", "mnist", "--data-dir", "data"][..],
            &["train-classifier", "--data", "mnist", "--data-dir", "data"],
        ] {
            let error = fail(at, &[command, option].concat(), 2);
            assert!(error.contains(&expected), "{error}");
        }
    }
    let error = fail(at, &["data", "prepare", "data", "--out", "set.zip"], 2);
    let expected =
        "data.dir: expected pictures in data, found MNIST's IDX files, which are trained on as they are";
    assert!(error.contains(expected), "{error}");
    let output = run(at, &["data", "info", "--data", "folder", "--data-dir", "data", "--crop", "1,2"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("expected centre, a number of pixels, or LEFT,TOP,SIDE, found 1,2"), "{error}");
}

#[test]
fn labels_are_only_needed_for_classes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("data"), 28, |digit| digit);
    std::fs::remove_file(at.join("data/train-labels-idx1-ubyte.gz")).unwrap();
    let output = run(at, &on_mnist(&small("run"), "data", &[]));
    let log = String::from_utf8(output.stderr).unwrap();
    let expected = "train-images-idx3-ubyte.gz (without labels: train-labels-idx1-ubyte is missing)";
    assert!(output.status.success() && log.contains(expected), "{log}");
    let text = succeed(at, &["data", "info", "--data", "mnist", "--data-dir", "data"]);
    assert!(text.contains(expected) && !text.contains("classes "), "{text}");
    let error = fail(at, &on_mnist(&small("other"), "data", &["--set", "model.classes=10"]), 2);
    assert!(error.contains("train-labels-idx1-ubyte is missing"), "{error}");
    assert!(error.contains("model.classes: expected none, as the images of mnist have no labels"), "{error}");
}

#[test]
fn a_wrong_directory_is_said_to_come_from_where_it_was_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let with_variable = |args: &[&str]| {
        let output = crate::program::gan_cli(at, args).env("GAN_DATA_DIR", "gone").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let expected = "ERROR GAN_DATA_DIR (--data-dir names another directory): gone: no such file or directory";
    assert!(with_variable(&["data", "info", "--data", "mnist"]).contains(expected));
    let log = with_variable(&["train", "--config", "mlp-001", "--out", "run"]);
    assert!(log.contains(expected), "{log}");
    let error = fail(at, &["train", "--config", "mlp-001", "--out", "run", "--set", "data.dir=gone"], 2);
    assert!(
        error.contains("data.dir (--data-dir names another directory): gone: no such file or directory"),
        "{error}"
    );
    let error = fail(at, &["train", "--config", "mlp-001", "--out", "run", "--data-dir", "gone"], 2);
    assert!(error.contains("--data-dir: gone: no such file or directory"), "{error}");
    let error = fail(at, &["data", "info", "--data", "mnist", "--data-dir", "gone"], 2);
    assert!(error.contains("--data-dir: gone: no such file or directory"), "{error}");
    std::fs::create_dir(at.join("faces")).unwrap();
    std::fs::write(at.join("faces/a.png"), "").unwrap();
    let error = fail(at, &["train", "--config", "mlp-001", "--out", "run", "--data-dir", "faces"], 2);
    assert!(error.contains("--config dcgan-64 trains on them (data.name = \"folder\")"), "{error}");
}

#[test]
fn settings_that_can_only_be_mistakes_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let args = small("run");
    let sets = ["--set", "train.steps=1", "--set", "data.limit=5001", "--set", "train.weight-clip=1e6"];
    let output = run(directory.path(), &small_with(&args, &sets));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("WARN data.limit = 5001, but there are 5000 images: all are used"), "{log}");
    assert!(log.contains("WARN mlp-002: train.weight-clip = 1000000: no weight gets so large"), "{log}");
    let sets = ["--set", "train.steps=1", "--set", "data.limit=5000"];
    let args = small("other");
    let log = String::from_utf8(run(directory.path(), &small_with(&args, &sets)).stderr).unwrap();
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn labels_come_from_the_directory_of_the_images() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("mnist"), 28, |digit| digit);
    digits(&at.join("mnist/raw"), 28, |digit| 9 - digit);
    std::fs::remove_file(at.join("mnist/train-labels-idx1-ubyte.gz")).unwrap();
    let text = succeed(at, &["data", "info", "--data", "mnist", "--data-dir", "mnist"]);
    assert!(text.contains("(without labels: train-labels-idx1-ubyte is missing)"), "{text}");
}
