//! Tests Stacked MNIST: three digits in an image, and how many of the 1000 modes a generator draws.

use crate::program::{fail, run, small, small_with, succeed};
use gan_data::idx::{self, IdxImages};
use serde_json::Value;
use std::path::Path;

/// Writes MNIST's four files with 1000 and 250 of the embedded digits.
fn digits(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    let data = gan_data::mnist_5k().unwrap();
    for (prefix, first, step) in [("train", 0, 5), ("t10k", 1, 20)] {
        let chosen: Vec<usize> = (first..data.len()).step_by(step).collect();
        let pixels = chosen.iter().flat_map(|&i| data.image(i).into_owned()).collect();
        let images = IdxImages { count: chosen.len(), rows: 28, cols: 28, pixels };
        let labels: Vec<u8> = chosen.iter().map(|&i| data.labels().unwrap()[i] as u8).collect();
        idx::write_images_gz(directory.join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
        idx::write_labels_gz(directory.join(format!("{prefix}-labels-idx1-ubyte.gz")), &labels).unwrap();
    }
}

const STACKED: [&str; 6] =
    ["--data-dir", "mnist", "--set", "data.name=stacked-mnist", "--set", "model.channels=3"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_run_on_stacks_is_judged_by_its_modes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("mnist"));
    let sets = [
        "data.limit=500",
        "train.health.every=0",
        "train.evaluate.every-kimg=10",
        "train.evaluate.count=100",
        "model.image-size=32",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).chain(STACKED).collect();
    succeed(at, &small_with(&small("run"), &sets));
    // The run reports its modes during training, and chooses its best generator by the distance.
    let metrics = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let line = metrics.lines().find(|line| line.contains("evaluate")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["step"], &line["evaluate"]["modes"]["of"]), (&40.into(), &1000.into()));
    assert!(at.join("run/best/generator.safetensors").exists());

    let output = run(at, &["evaluate", "run", "--count", "200", "--json"]);
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("WARN"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["channels"], &report["features"]), (&3.into(), &"mnist".into()));
    assert_eq!(
        [&report["reference"], &report["held_out"]].map(|set| set["count"].as_u64()),
        [Some(400), Some(200)]
    );
    assert_eq!(report["trained"]["count"], 500);
    let [generated, floor] = [&report["generated"]["modes"], &report["floor"]["modes"]];
    // 200 images have 181 +- 4 of the 1000 modes. After forty steps of training the generator draws
    // nearly the same image from all latents.
    assert!((165..=195).contains(&floor["covered"].as_u64().unwrap()), "{floor}");
    assert!(generated["covered"].as_u64().unwrap() < 50, "{generated}");
    // The KL is ln 1000 if all images are in one mode, and ln 5 if each image has its own mode.
    assert!(number(&generated["kl"]) > 3. && number(&generated["kl"]) < 6.91, "{generated}");
    assert!((1.6..1.9).contains(&number(&floor["kl"])), "{floor}");

    let table = succeed(at, &["-q", "evaluate", "run", "--count", "100"]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or(&table).to_owned();
    assert!(row("modes ").matches(" of 1000 ").count() == 2, "{table}");
    assert!(row("mode KL").ends_with("chance alone gives 4.9950"), "{table}");
    // In a comparison with other RGB images there are no modes.
    succeed(at, &["-q", "sample", "run", "--count", "140", "--out", "fakes/"]);
    let pictures = ["-q", "evaluate", "--samples", "fakes", "--data", "folder", "--data-dir", "fakes"];
    let table = succeed(at, &pictures);
    assert!(table.contains("RGB") && !table.contains("mode"), "{table}");
}

#[test]
fn copies_of_one_digit_in_all_channels_have_ten_modes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("mnist"));
    let data = gan_data::mnist_5k().unwrap();
    std::fs::create_dir(at.join("gray")).unwrap();
    for i in 0..100 {
        let gray = data.image(i * 50 + 3);
        let picture = image::RgbImage::from_fn(28, 28, |x, y| image::Rgb([gray[(y * 28 + x) as usize]; 3]));
        picture.save(at.join(format!("gray/{i}.png"))).unwrap();
    }
    let args = ["evaluate", "--json", "--samples", "gray", "--data-dir", "mnist"];
    let stacks = succeed(at, &[&args[..], &["--data", "stacked-mnist"]].concat());
    let stacks: Value = serde_json::from_str(&stacks).unwrap();
    let modes = &stacks["generated"]["modes"];
    // The modes are 111 to 999 and 000. The classifier makes at most 2 errors in 100.
    assert!((10..=12).contains(&modes["covered"].as_u64().unwrap()), "{modes}");
    assert!((number(&modes["kl"]) - 100f64.ln()).abs() < 0.15, "{modes}");
    assert_eq!(stacks["channels"], 3);
    // In a comparison with single digits the images are gray, and have only classes.
    let single: Value = serde_json::from_str(&succeed(at, &args)).unwrap();
    assert!(single["generated"].get("modes").is_none() && single["channels"] == 1);
}

#[test]
fn data_info_and_mistakes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    digits(&at.join("mnist"));
    let text = succeed(at, &["data", "info", "--name", "stacked-mnist", "--data-dir", "mnist"]);
    for line in [
        "stacked-mnist train: 128000 images, 28x28 RGB",
        "stacks of three of 1000 images: mnist/train-images",
        "stacked-mnist test: 26000 images, 28x28 RGB",
        "1000 modes",
        "This is not the canonical MNIST.",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let error = fail(at, &small_with(&small("run"), &STACKED[..4]), 2);
    assert!(
        error.contains("channels: expected 3, as the data are RGB (model.channels = 3), found 1"),
        "{error}"
    );
    assert!(!at.join("run").exists(), "a run that cannot start leaves no directory");
}
