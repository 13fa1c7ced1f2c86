//! Tests the committed configurations: each is valid, equals its preset, and trains.

use crate::golden::model;
use crate::program::{fail, small, small_with, succeed};
use gan_models::ModelConfig;
use std::path::{Path, PathBuf};

const ALL: [&str; 17] = [
    "mnist-5k",
    "mnist-fast",
    "mnist-best",
    "mnist-conditional",
    "fashion",
    "stacked-mnist",
    "r3gan",
    "wgan-gp",
    "hinge-sn",
    "lsgan",
    "mlp-001",
    "mlp-001-verbatim",
    "mlp-002",
    "mlp-003",
    "dcgan-28",
    "dcgan-64",
    "emoji-64",
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../configs/{name}.toml"))
}

fn parse(name: &str) -> toml::Table {
    toml::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

#[test]
fn the_list_is_the_directory() {
    let mut found: Vec<String> = std::fs::read_dir(file("x").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut all = ALL.map(str::to_owned).to_vec();
    all.sort();
    assert_eq!(found, all);
}

#[test]
fn models_are_the_presets() {
    for name in ["mlp-001", "mlp-002", "mlp-003", "dcgan-28", "dcgan-64"] {
        let config: ModelConfig = parse(name)["model"].clone().try_into().unwrap();
        let expected = match name {
            "mlp-003" => gan_models::preset::mlp_003(100),
            name => model(name),
        };
        assert_eq!(config, expected, "{name}");
    }
    let (faithful, verbatim) = (parse("mlp-001"), parse("mlp-001-verbatim"));
    assert_eq!(faithful["model"], verbatim["model"]);
    assert_eq!(verbatim["data"]["range"].as_str(), Some("zero-one"));
    assert_eq!(faithful["data"].get("range"), None);
}

#[test]
fn what_the_guide_shows_is_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let shown = guide.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::write(at.join("shown.toml"), shown).unwrap();
    let sets = ["--set", "data.batch-size=4", "--steps", "1", "--no-sampling", "--json"];
    succeed(at, &[&["bench", "--config", "shown.toml"], &sets[..]].concat());
}

#[test]
fn the_guide_names_the_required_keys() {
    const REQUIRED: &str = "\
seed = 0
[data]
name = \"mnist-5k\"
batch-size = 4
[model]
arch = \"mlp\"
latent-dim = 4
channels = 1
image-size = 28
[model.generator]
widths = [8]
activation = \"relu\"
[model.discriminator]
widths = [8]
activation = \"leaky-relu\"
[train]
steps = 1
[train.generator]
lr = 1e-3
betas = [0.5, 0.9]
[train.discriminator]
lr = 1e-3
betas = [0.5, 0.9]
";
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let named = guide.split("**Required keys.**").nth(1).unwrap().split("\n\n").next().unwrap();
    std::fs::write(at.join("all.toml"), REQUIRED).unwrap();
    succeed(at, &["inspect", "all.toml"]);
    for line in REQUIRED.lines().filter(|line| line.contains('=')) {
        std::fs::write(at.join("less.toml"), REQUIRED.replacen(&format!("{line}\n"), "", 1)).unwrap();
        let key = line.split(' ').next().unwrap();
        let error = fail(at, &["inspect", "less.toml"], 2);
        let is_named = error.contains("expected these keys too: ") && error.contains(key);
        assert!(is_named || error.contains("expected train.steps"), "{error}");
        assert!(named.contains(&format!("{key}`")), "{key}: {named}");
    }
}

/// Trains every configuration for two steps on a directory of IDX files, and then draws an image.
#[test]
fn each_trains_and_samples_from_a_directory_of_mnist() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    idx(&at.join("mnist"), 40);
    // Pictures have a background.
    for name in ALL.into_iter().filter(|name| *name != "emoji-64") {
        let config = file(name);
        let mut args =
            vec!["train", "--config", config.to_str().unwrap(), "--data-dir", "mnist", "--out", name];
        args.extend([
            "--set",
            "train.steps=2",
            "--set",
            "data.batch-size=4",
            "--set",
            "train.sample-count=4",
        ]);
        succeed(at, &args);
        let images = format!("{name}.npy");
        succeed(at, &["sample", name, "--count", "3", "--out", &images]);
        let (channels, size) = match name {
            "dcgan-64" => (3, 64),
            "stacked-mnist" => (3, 28),
            _ => (1, 28),
        };
        let bytes = std::fs::read(at.join(images)).unwrap();
        let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(npy.shape(), [3, channels, size, size]);
        assert!(npy.into_vec::<f32>().unwrap().iter().all(|v| v.abs() <= 1.));
    }
    succeed(
        at,
        &[
            "train",
            "--config",
            "dcgan-64",
            "--data-dir",
            "mnist",
            "--out",
            "gray",
            "--set",
            "model.channels=1",
            "--set",
            "train.steps=1",
            "--set",
            "data.batch-size=4",
            "--set",
            "train.sample-count=4",
        ],
    );
    let error = fail(at, &["train", "--config", "dcgan-64", "--out", "none"], 2);
    assert!(error.contains("data.dir") && error.contains("--data-dir"), "{error}");
}

#[test]
fn what_is_counted_in_images_counts_every_batch_of_a_step() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // 320 images are 20 batches of 16. So three epochs are 60 batches, and each step uses 4.
    let sets =
        ["data.limit=320", "train.epochs=3", "train.d-steps=4", "train.g-steps=2", "train.log-every=5"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    succeed(at, &small_with(&small("run"), &sets));
    let metrics = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let mut lines = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let last = lines.rfind(|line| line.get("images").is_some()).unwrap();
    assert!(last["step"] == 15 && last["epoch"] == 3. && last["images"] == 960, "{last}");
    assert!(succeed(at, &["inspect", "run"]).contains("960"));
}

/// Trains both networks for pictures on a folder of RGB images with odd sizes.
#[test]
fn the_rgb_networks_train_on_a_folder_of_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("pictures")).unwrap();
    for i in 0..6u8 {
        let picture = image::RgbImage::from_fn(50 + u32::from(i) * 30, 70, |x, y| {
            image::Rgb([x as u8, y as u8, i * 40])
        });
        let extension = if i % 2 == 0 { "png" } else { "jpg" };
        picture.save(at.join(format!("pictures/{i}.{extension}"))).unwrap();
    }
    for name in ["dcgan-64", "emoji-64"] {
        let sets = ["train.steps=1", "data.batch-size=4", "train.sample-count=4"];
        let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        let train = ["train", "--config", name, "--data-dir", "pictures", "--out", name];
        succeed(at, &[&train[..], &sets].concat());
        let grid = image::open(at.join(name).join("samples/step-00000001.png")).unwrap();
        assert_eq!((grid.width(), grid.height()), (2 * 66 + 2, 2 * 66 + 2));
        assert_eq!(grid.color(), image::ColorType::Rgb8);
    }
}

/// Writes the two training files of MNIST with `count` artificial images.
pub(crate) fn idx(directory: &Path, count: u32) {
    std::fs::create_dir_all(directory).unwrap();
    let header = |magic: u32, dims: &[u32]| -> Vec<u8> {
        std::iter::once(magic).chain(dims.iter().copied()).flat_map(u32::to_be_bytes).collect()
    };
    let mut images = header(0x803, &[count, 28, 28]);
    images.extend((0..count * 784).map(|i| (i * 7 % 251) as u8));
    let mut labels = header(0x801, &[count]);
    labels.extend((0..count).map(|i| (i % 10) as u8));
    std::fs::write(directory.join("train-images-idx3-ubyte"), images).unwrap();
    std::fs::write(directory.join("train-labels.idx1-ubyte"), labels).unwrap();
}
