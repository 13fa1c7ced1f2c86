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

/// The weights of a small generator with two classes whose images differ much, as a state dict.
#[cfg(feature = "fused")]
fn two_classes() -> Vec<u8> {
    let noise = |count: usize, seed: usize| {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.;
        (0..count).map(value).collect::<Vec<f32>>()
    };
    let mut first = noise(16 * 10, 1);
    // The last two columns are those of the classes.
    for (i, weight) in first.iter_mut().enumerate() {
        if i % 10 >= 8 {
            *weight *= 6.;
        }
    }
    let last = noise(784 * 16, 2).into_iter().map(|weight| weight * 0.3).collect();
    let tensors = [
        ("model.0.weight", vec![16, 10], first),
        ("model.0.bias", vec![16], vec![0.; 16]),
        ("model.2.weight", vec![784, 16], last),
        ("model.2.bias", vec![784], vec![0.; 784]),
    ];
    let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (*name, view.unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// The configuration of that generator, and of a training that hardly changes it.
#[cfg(feature = "fused")]
const TWO_CLASSES: &str = r#"
seed = 0

[data]
name = "folder"
batch-size = 10
hold-out = 0.4

[model]
arch = "mlp"
latent-dim = 8
channels = 1
image-size = 28
classes = 2

[model.generator]
widths = [16]
activation = "relu"

[model.discriminator]
widths = [16]
activation = "relu"

[train]
steps = 2
loss = "non-saturating"

[train.generator]
lr = 1e-12
betas = [0.5, 0.999]

[train.discriminator]
lr = 1e-12
betas = [0.5, 0.999]

[train.health]
every = 1
samples = 300

[train.evaluate]
every-kimg = 0
count = 200
"#;

/// A generator whose images are the data has the distance of real images, also if one class is rare there.
#[test]
#[cfg(feature = "fused")]
fn classes_are_as_frequent_as_in_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("g.safetensors"), two_classes()).unwrap();
    std::fs::write(at.join("c.toml"), TWO_CLASSES).unwrap();
    let with_config = ["g.safetensors", "--config", "c.toml"];
    for (class, count) in [("0", "500"), ("1", "50")] {
        let out = format!("data/{class}/");
        let options = ["--seed", class, "--class", class, "--count", count, "--out", &out];
        succeed(at, &[&["sample"][..], &with_config, &options].concat());
    }
    let train = ["train", "--config", "c.toml", "--data-dir", "data", "--init-from", "g.safetensors"];
    succeed(at, &[&train[..], &["--out", "run"]].concat());
    let lines = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let checks: Vec<f64> =
        lines.iter().filter_map(|line| line["health"]["images"]["distance"].as_f64()).collect();
    assert!(!checks.is_empty() && checks.iter().all(|distance| *distance < 0.05), "{checks:?}");
    let near = |generated: &Value, floor: &Value| {
        let [generated, floor] = [generated, floor].map(|distance| distance.as_f64().unwrap());
        assert!(generated < 3. * floor, "{generated} {floor}");
    };
    let judged = lines.iter().find(|line| line.get("evaluate").is_some()).unwrap();
    near(&judged["evaluate"]["random_fd"], &judged["floor"]["random_fd"]);
    let of_file = [&with_config[..], &["--data", "folder", "--data-dir", "data"]].concat();
    for subject in [&["run"][..], &of_file] {
        let args = [&["evaluate", "--count", "200", "--json"][..], subject].concat();
        let report: Value = serde_json::from_str(&succeed(at, &args)).unwrap();
        near(&report["generated"]["random_fd"], &report["floor"]["random_fd"]);
    }
}
