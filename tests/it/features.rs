//! Tests how pictures that no classifier knows are judged, and which of them are held out.

use crate::program::{fail, run, small, small_with, succeed};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::path::Path;

/// Writes 160 pictures of squares in four colours. Each picture is different.
fn squares(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    for n in 0..160u32 {
        let colour = [[220, 30, 30], [30, 200, 40], [30, 40, 230], [230, 210, 40]][n as usize % 4];
        let (left, top, side) = (2 + n % 7, 2 + n / 7 % 9, 10 + n % 11);
        let image = RgbImage::from_fn(32, 32, |x, y| {
            let is_inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
            Rgb(if is_inside { colour } else { [20 + (n % 5) as u8; 3] })
        });
        image.save(directory.join(format!("{n:03}.png"))).unwrap();
    }
}

/// Trains a small network on the squares.
fn train(at: &Path, out: &str, more: &[&str]) {
    succeed(at, &arguments(&small(out), more));
}

fn arguments<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let data = ["--data-dir", "squares", "--set", "data.name=folder"];
    let model = ["--set", "model.channels=3", "--set", "model.image-size=32"];
    small_with(args, &[&data[..], &model, more].concat())
}

fn json(at: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&succeed(at, &[&["-q", "evaluate", "--json"], args].concat())).unwrap()
}

#[test]
fn pictures_are_judged_without_the_classes_of_digits() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    train(at, "run", &["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=64"]);
    let output = run(at, &["evaluate", "run"]);
    let (table, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && !log.contains("WARN"), "{log}");
    for part in [
        ": 80 images, RGB\n",
        "the generator may have been trained on these 80 too (data.hold-out keeps some from training)\n",
        "random-fd ",
        "different bins ",
        "\nshare of bin ",
        "copies: searched among 160 training images",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(!table.contains("class") && !table.contains("mnist"), "{table}");

    let report = json(at, &["run"]);
    let (generated, floor) = (&report["generated"], &report["floor"]);
    assert_eq!(
        (&report["features"], &report["may_be_trained_on_held_out"]),
        (&"random-1".into(), &true.into())
    );
    let [ours, real] = [generated, floor].map(|side| side["random_fd"].as_f64().unwrap());
    assert!(ours > 5. * real, "{report}");
    assert_eq!(
        (&floor["bins"]["of"], &floor["classes"], &floor["classifier_score"]),
        (&2.into(), &Value::Null, &Value::Null)
    );

    // The run stored the same kind of numbers.
    let text = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evaluated = lines.iter().find_map(|line| line.get("evaluate")).unwrap();
    assert!(evaluated["random_fd"].is_f64() && evaluated["features"] == "random-1", "{evaluated}");
    let best = std::fs::read(at.join("run/best/evaluation.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&best).unwrap()["features"], "random-1");
    if cfg!(feature = "fused") {
        let baseline = lines.iter().find_map(|line| line.get("baseline")).unwrap();
        assert_eq!(baseline["features"], "random-1");
        let diagnosis = succeed(at, &["diagnose", "run"]);
        assert!(diagnosis.contains("percent in each bin") && !diagnosis.contains("class"), "{diagnosis}");
    }
}

#[test]
fn random_features_can_be_chosen_for_any_data() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let random = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.features=random"];
    let more = [&random[..], &["--set", "train.evaluate.count=64"]].concat();
    succeed(at, &small_with(&small("run"), &more));
    let report = json(at, &["run", "--features", "random", "--count", "100"]);
    assert_eq!((&report["features"], &report["generated"]["bins"]["of"]), (&"random-1".into(), &20.into()));
    let text = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    assert!(text.contains("\"random_fd\"") && !text.contains("mnist_fd"), "{text}");
    // The name stays a name in the run's configuration.
    let config = std::fs::read_to_string(at.join("run/config.toml")).unwrap();
    assert!(config.contains("features = \"random\"\n"), "{config}");
    assert_eq!(json(at, &["run", "--count", "100"])["features"], "mnist");
    // Any other value is a file.
    let error = fail(at, &["evaluate", "run", "--features", "./random"], 2);
    assert!(error.contains("./random: no such file or directory"), "{error}");
}

#[test]
fn held_out_pictures_are_not_trained_on_and_are_compared_with() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    train(at, "run", &["--set", "data.hold-out=0.5", "--set", "train.health.every=0"]);
    let report = json(at, &["run"]);
    let count = |set: &str| report[set]["count"].as_u64().unwrap();
    assert_eq!([count("reference"), count("held_out"), count("trained")], [80; 3], "{report}");
    assert_eq!(report["may_be_trained_on_held_out"], false);
    assert_eq!(report["held_out"]["name"], "folder held-out images");
    // Every second picture was held out, the first one too. The others were trained on.
    for (first, copied) in [(0, 0.), (1, 1.)] {
        let name = format!("from-{first}");
        std::fs::create_dir(at.join(&name)).unwrap();
        for n in (first..160).step_by(2) {
            let file = format!("{n:03}.png");
            std::fs::copy(at.join("squares").join(&file), at.join(&name).join(&file)).unwrap();
        }
        let found = json(at, &["run", "--samples", &name])["generated"]["memorisation"]["copied"].take();
        assert!((found.as_f64().unwrap() - copied).abs() < 0.1, "{name}: {found}");
    }
    // A resume needs the same pictures.
    let args = small("run");
    let error = fail(at, &arguments(&args, &["--resume", "--set", "data.hold-out=0.25"]), 2);
    assert!(error.contains("data.hold-out"), "{error}");
    let error = fail(at, &arguments(&args, &["--resume"]), 2);
    assert!(error.contains("trained on 80 images, and there are other data now (160 images"), "{error}");
    succeed(at, &["train", "--out", "run", "--resume"]);
    // So does the comparison, even if only a picture changes that was held out.
    std::fs::copy(at.join("squares/001.png"), at.join("squares/000.png")).unwrap();
    let error = fail(at, &["train", "--out", "run", "--resume"], 2);
    assert!(error.contains("trained on 80 images, and there are others now"), "{error}");
    let log = run(at, &["evaluate", "run", "--count", "64"]).stderr;
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("trained on 80 images, and there are other data now"), "{log}");
    // MNIST has a test split, which is never trained on.
    let sets = ["--set", "data.name=mnist", "--set", "data.hold-out=0.1", "--data-dir", "squares"];
    let error = fail(at, &small_with(&small("other"), &sets), 2);
    let expected = "data.hold-out: expected none, as mnist has a test split, which is never trained on";
    assert!(error.contains(expected), "{error}");
}

/// Pictures on a transparent ground are compared on the ground that the generator was trained on.
#[test]
fn a_generator_is_compared_with_pictures_as_it_saw_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("squares")).unwrap();
    for n in 0..160u32 {
        let image = image::RgbaImage::from_fn(32, 32, |x, y| {
            let is_inside = (4 + n % 9..20).contains(&x) && (3 + n % 7..22).contains(&y);
            image::Rgba([200, (n % 50) as u8, 30, if is_inside { 255 } else { 0 }])
        });
        image.save(at.join(format!("squares/{n:03}.png"))).unwrap();
    }
    train(at, "run", &["--set", "data.background=white", "--set", "train.health.every=0"]);
    std::fs::copy(at.join("run/generator.safetensors"), at.join("g.safetensors")).unwrap();
    let inside = json(at, &["run/generator.safetensors"]);
    let outside = json(at, &["g.safetensors", "--data", "folder", "--data-dir", "squares"]);
    assert_eq!(inside["generated"], outside["generated"]);
    let samples = ["evaluate", "--json", "--samples", "squares", "--data", "folder", "--data-dir", "squares"];
    let log = |more: &[&str]| {
        let output = run(at, &[&samples[..], more].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (String::from_utf8(output.stderr).unwrap(), report["floor"].clone())
    };
    let (black, floor) = log(&[]);
    assert!(
        black.contains("160 have transparent parts, which are compared as black: --background"),
        "{black}"
    );
    let (white, other) = log(&["--background", "white"]);
    assert!(!white.contains("WARN") && floor != other, "{white}");
    let error = fail(at, &["evaluate", "--samples", "squares", "--background", "white"], 2);
    assert!(
        error.contains("--background: mnist-5k has images of 28x28 gray; this is for folders"),
        "{error}"
    );

    let prepare = ["data", "prepare", "squares", "--size", "32", "--out"];
    succeed(at, &[&prepare[..], &["black.zip"]].concat());
    let args = small("other");
    let contradiction = ["--set", "data.background=white", "--data-dir", "black.zip"];
    let args: Vec<&str> =
        arguments(&args, &[]).into_iter().filter(|arg| !["--data-dir", "squares"].contains(arg)).collect();
    let error = fail(at, &[&args[..], &contradiction].concat(), 2);
    let expected = "data.background: expected \"black\" or no value, because the pictures of ";
    assert!(error.contains(expected) && error.contains("black.zip were put on it"), "{error}");
}

#[test]
fn the_features_of_papers_need_their_weights() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    std::fs::write(at.join("a.pth"), "no weights").unwrap();
    let evaluate = ["evaluate", "--samples", "squares", "--data", "folder", "--data-dir", "squares"];
    let cached = "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth";
    if cfg!(not(feature = "hub")) {
        let error = fail(at, &[&evaluate[..], &["--features", "inception"]].concat(), 2);
        let needs = format!("need --weights FILE, or the file {cached}: this build cannot download it");
        assert!(error.contains(&needs) && error.contains("https://github.com/"), "{error}");
    }
    // The file is looked for where PyTorch keeps it, and is not taken if it is incomplete.
    std::fs::create_dir_all(at.join("torch/hub/checkpoints")).unwrap();
    std::fs::write(at.join(cached), "no weights").unwrap();
    let other = format!("{cached}: expected a SHA-256 that begins with 6726825d");
    for (more, code, expected) in [
        (&["--features", "inception"][..], 1, other.as_str()),
        (&["--features", "inception", "--weights", "b.pth"], 2, "b.pth: no such file or directory"),
        (&["--features", "inception", "--weights", "a.pth"], 1, "a.pth"),
        (
            &["--features", "random", "--weights", "a.pth"],
            2,
            "--weights: expected --features inception with it",
        ),
    ] {
        let error = fail(at, &[&evaluate[..], more].concat(), code);
        assert!(error.contains(expected), "{error}");
    }
    let during = ["--set", "train.evaluate.every-kimg=1", "--set", "train.evaluate.features=inception"];
    let error = fail(at, &arguments(&small("run"), &during), 2);
    assert!(error.contains("train.evaluate.features: expected random or the file"), "{error}");
}

#[test]
fn a_mirrored_copy_is_a_copy_if_the_run_saw_mirrored_images() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    squares(&at.join("squares"));
    std::fs::create_dir(at.join("mirrored")).unwrap();
    for entry in std::fs::read_dir(at.join("squares")).unwrap() {
        let path = entry.unwrap().path();
        let image = image::imageops::flip_horizontal(&image::open(&path).unwrap().into_rgb8());
        image.save(at.join("mirrored").join(path.file_name().unwrap())).unwrap();
    }
    let short = ["--set", "train.steps=2", "--set", "train.health.every=0"];
    let median = |run: &str| {
        let report = json(at, &[run, "--samples", "mirrored"]);
        report["generated"]["memorisation"]["median"].as_f64().unwrap()
    };
    train(at, "plain", &short);
    train(at, "flipped", &[&short[..], &["--set", "data.flip=true"]].concat());
    assert!(median("plain") > 0.1 && median("flipped") < 1e-3, "{} {}", median("plain"), median("flipped"));
}
