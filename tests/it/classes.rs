//! Tests conditional generators: training on labels, drawing by class, and the accuracy of the
//! classes.

use crate::program::{fail, run, small, small_with, succeed};
use serde_json::Value;

#[test]
fn a_conditional_run_is_drawn_and_judged_by_class() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets = ["--set", "model.classes=10", "--set", "model.latent=uniform"];
    succeed(at, &small_with(&small("run"), &sets));

    // The grid has one row per class and one column per image. The rows are 10 images of 28 pixels
    // with 2 pixels between them.
    succeed(at, &["sample", "run", "--class", "all", "--count", "3", "--out", "all.png"]);
    let size = |name: &str| image::image_dimensions(at.join(name)).unwrap();
    let (width, height) = size("all.png");
    assert!(width < height / 3 + 10, "{width} {height}");
    succeed(at, &["sample", "run", "--class", "7", "--count", "4", "--out", "sevens.npy"]);
    succeed(
        at,
        &["sample", "run", "--class", "7", "--count", "4", "--truncation", "0.5", "--out", "typical.npy"],
    );
    let bytes = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(bytes("sevens.npy") != bytes("typical.npy"));

    let output = run(at, &["evaluate", "run", "--count", "200", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let accuracy = |side: &str| report[side]["accuracy"].clone();
    let overall = |side: &str| accuracy(side)["overall"].as_f64().unwrap();
    // After forty steps the generator draws noise, so its accuracy is low. That of real digits is
    // high.
    assert!(
        overall("generated") < 0.5 && overall("floor") > 0.97,
        "{} {}",
        overall("generated"),
        overall("floor")
    );
    assert_eq!(accuracy("generated")["of_classes"].as_array().unwrap().len(), 10);
    let table = succeed(at, &["evaluate", "run", "--count", "200"]);
    assert!(table.contains("class accuracy") && table.contains("accuracy of class"), "{table}");

    for (args, expected) in [
        (vec!["--class", "10"], "--class 10: expected a class from 0 to 9, or `all`"),
        (vec!["--class", "seven"], "--class seven: expected a class from 0 to 9, or `all`"),
        (vec!["--truncation", "0"], "expected a number from 0.01 to 100"),
    ] {
        let output = run(at, &[&["sample", "run"][..], &args].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn classes_need_labels_and_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let train = |sets: &[&str]| {
        let args = small("run");
        let args = small_with(&args, sets);
        fail(at, &args, 2)
    };
    for classes in [9, 11] {
        let other = train(&["--set", &format!("model.classes={classes}")]);
        assert!(other.contains("model.classes: expected 10, the classes of mnist-5k, found "), "{other}");
    }
    let missing = train(&["--set", "model.classes=9", "--set", "data.limit=5", "--set", "data.batch-size=4"]);
    assert!(missing.contains("model.classes: the training images hold none of class 1"), "{missing}");
    let pack = train(&["--set", "model.discriminator.pack=3"]);
    assert!(
        pack.contains("model.discriminator.pack: expected a divisor of the 16 images in a batch"),
        "{pack}"
    );
    let both = train(&["--set", "model.classes=10", "--set", "model.discriminator.pack=2"]);
    assert!(both.contains("model.discriminator.pack: expected 1"), "{both}");
    assert!(!at.join("run").exists());
    succeed(at, &small_with(&small("run"), &[]));
    let plain = fail(at, &["sample", "run", "--class", "all"], 2);
    assert!(plain.contains("--class: this generator was trained without classes (model.classes)"), "{plain}");
}
