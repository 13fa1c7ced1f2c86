//! Tests `gan-cli evaluate`, and the evaluation during training.

use crate::program::{fail, small, small_with, succeed};
use npyz::WriterBuilder;
use serde_json::Value;
use std::path::Path;

/// Runs `evaluate --json` and parses its line.
fn report(directory: &Path, args: &[&str]) -> Value {
    let mut all = vec!["-q", "evaluate", "--json"];
    all.extend(args);
    serde_json::from_str(&succeed(directory, &all)).unwrap()
}

fn npy<T: npyz::AutoSerialize>(path: &Path, shape: &[u64], values: Vec<T>) {
    let mut bytes = vec![];
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes);
    let mut writer = options.begin_nd().unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_run_its_samples_and_their_pictures_are_judged_alike() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    succeed(at, &small_with(&args, &["--set", "train.health.every=0"]));

    let table = succeed(at, &["-q", "evaluate", "run", "--count", "200"]);
    for part in [
        "run/generator.safetensors (step 40): 200 images, gray",
        "copies: searched among 5000 training images of mnist-5k",
        "compared with mnist-5k half of the training images (2500 images)",
        "the floor: 200 of mnist-5k the other half (2500)",
        "mnist-fd",
        "classifier score",
        "10 of 10",
        "nearest training image",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }

    let of_run = report(at, &["run", "--count", "200"]);
    let (generated, floor) = (&of_run["generated"], &of_run["floor"]);
    assert_eq!(
        (&of_run["features"], &generated["count"], &floor["count"]),
        (&"mnist".into(), &200.into(), &200.into())
    );
    // After forty steps the images are not yet digits. The held-out images are digits.
    assert!(number(&generated["mnist_fd"]) > 50. * number(&floor["mnist_fd"]), "{of_run}");
    assert!(number(&floor["precision"]) > 0.8 && number(&generated["recall"]) < 0.1, "{of_run}");
    assert!(number(&floor["classifier_score"]) > 9.);
    assert_eq!(floor["classes"]["covered"], 10);
    assert!(number(&floor["memorisation"]["copied"]) < 0.05);

    succeed(at, &["-q", "sample", "run", "--count", "200", "--out", "fakes.npy"]);
    let of_array = report(at, &["--samples", "fakes.npy", "--count", "200"]);
    // With candle's own operations, an image's features depend on the size of the batch, by a
    // rounding error.
    let ratio = |report: &Value| number(&report["generated"]["mnist_fd"]) / number(&generated["mnist_fd"]);
    assert!((ratio(&of_array) - 1.).abs() < 1e-6, "{}", ratio(&of_array));
    assert_eq!(of_array["floor"], *floor);

    succeed(at, &["-q", "sample", "run", "--count", "200", "--out", "fakes/"]);
    let of_files = report(at, &["--samples", "fakes"]);
    // The pictures have only 256 shades of gray.
    assert!((ratio(&of_files) - 1.).abs() < 0.02, "{}", ratio(&of_files));

    let limit = ["--count", "200", "--truncation", "0.5"];
    succeed(at, &[&["-q", "sample", "run", "--out", "typical.npy"][..], &limit].concat());
    let typical = report(at, &["--samples", "typical.npy"]);
    let of_run = report(at, &[&["run"][..], &limit].concat());
    assert!((ratio(&of_run) / ratio(&typical) - 1.).abs() < 1e-6 && (ratio(&of_run) - 1.).abs() > 1e-3);
    assert_eq!(of_run["subject"], "run/generator.safetensors (step 40, truncation 0.5)");
}

#[test]
fn real_digits_are_perfect_and_copies_are_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let data = gan_data::mnist_5k().unwrap();
    let write = |name: &str, first: usize| {
        let images = (first..data.len()).step_by(2).flat_map(|i| data.image(i).into_owned()).collect();
        npy(&at.join(name), &[2500, 28, 28], images);
    };
    write("copies.npy", 0);
    // The images of the floor, if there are 400.
    let images = (0..400).flat_map(|i| data.image(1 + 2 * (i * 2500 / 400)).into_owned()).collect();
    npy(&at.join("others.npy"), &[400, 28, 28], images);
    let mut others = report(at, &["--samples", "others.npy", "--count", "400"]);
    // The program assumes that the data set's images were all training images, so all are copies.
    // The floor uses images that were held out.
    assert!(number(&others["generated"]["memorisation"].take()["copied"]) > 0.999);
    assert!(number(&others["floor"]["memorisation"].take()["copied"]) < 0.03);
    assert_eq!(others["generated"], others["floor"], "the same images");
    let copies = &report(at, &["--samples", "copies.npy", "--count", "400"])["generated"];
    assert_eq!(
        (number(&copies["memorisation"]["copied"]), number(&copies["memorisation"]["median"])),
        (1., 0.)
    );
    assert_eq!(copies["precision"], 1.);
}

#[test]
fn copies_are_those_of_the_images_that_were_trained_on() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    succeed(at, &small_with(&args, &["--set", "data.limit=100", "--set", "train.steps=5"]));
    let data = gan_data::mnist_5k().unwrap();
    let write = |name: &str, first: usize| {
        let images = (first..data.len()).step_by(50).flat_map(|i| data.image(i).into_owned()).collect();
        npy(&at.join(name), &[100, 28, 28], images);
    };
    write("trained.npy", 0);
    write("unseen.npy", 1);
    let copied = |samples: &str| {
        let report = report(at, &["run", "--samples", samples]);
        assert_eq!(report["reference"]["count"], 2500, "{report}");
        number(&report["generated"]["memorisation"]["copied"])
    };
    assert!(copied("trained.npy") > 0.999);
    assert!(copied("unseen.npy") < 0.05);
    // A file anywhere in the run belongs to the run.
    for file in ["run/generator.safetensors", "run/checkpoints/step-00000005/generator.safetensors"] {
        assert_eq!(report(at, &[file, "--count", "64"])["trained"]["count"], 100, "{file}");
    }
    // A file beside an unrelated config.toml does not belong to a run.
    std::fs::create_dir(at.join("elsewhere")).unwrap();
    std::fs::write(at.join("elsewhere/config.toml"), "[other]").unwrap();
    std::fs::copy(at.join("run/generator.safetensors"), at.join("elsewhere/generator.safetensors")).unwrap();
    let alone = report(at, &["elsewhere/generator.safetensors", "--count", "64"]);
    assert_eq!(alone["trained"]["count"], 5000);
}

#[test]
fn gray_images_are_gray_however_they_are_saved() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let data = gan_data::mnist_5k().unwrap();
    let images: Vec<u8> = (0..100).flat_map(|i| data.image(i * 50).into_owned()).collect();
    let tripled: Vec<u8> = images.chunks(784).flat_map(|image| image.repeat(3)).collect();
    npy(&at.join("gray.npy"), &[100, 28, 28], images.clone());
    npy(&at.join("rgb.npy"), &[100, 3, 28, 28], tripled);
    let gray = report(at, &["--samples", "gray.npy"]);
    let rgb = report(at, &["--samples", "rgb.npy"]);
    assert_eq!((&gray["channels"], &rgb["generated"]), (&1.into(), &gray["generated"]));
    // Three different digits in one image are not gray. Each channel adds to the distance.
    let stacked: Vec<u8> = images.chunks(784 * 3).take(33).flatten().copied().collect();
    let stacked = [stacked.clone(), stacked].concat();
    npy(&at.join("stacked.npy"), &[66, 3, 28, 28], stacked);
    assert_eq!(report(at, &["--samples", "stacked.npy"])["channels"], 3);
}

#[test]
fn what_cannot_be_judged_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let write = |name: &str, shape: &[u64], value: f32| {
        npy(&at.join(name), shape, vec![value; shape.iter().product::<u64>() as usize]);
    };
    write("flat.npy", &[4, 784], 0.);
    write("three.npy", &[3], 0.);
    write("bright.npy", &[64, 28, 28], 200.);
    write("nan.npy", &[64, 1, 28, 28], f32::NAN);
    write("one.npy", &[1, 1, 28, 28], 0.);
    write("many.npy", &[64, 1, 28, 28], -1.);
    std::fs::write(at.join("words.npy"), "words").unwrap();
    std::fs::create_dir(at.join("empty")).unwrap();
    for (args, code, expected) in [
        (
            vec!["evaluate", "--samples", "flat.npy"],
            1,
            "expected floats, integers or booleans [N, C, S, S] or [N, S, S]",
        ),
        (vec!["evaluate", "--samples", "bright.npy"], 2, "expected values in [-1, 1], found 200 to 200"),
        (vec!["evaluate", "--samples", "nan.npy"], 1, "holds NaN or infinity"),
        (vec!["evaluate", "--samples", "one.npy"], 2, "expected at least 64 images to judge, found 1"),
        (vec!["evaluate", "--samples", "many.npy", "-n", "63"], 2, "at least 64 images to judge, found 63"),
        (vec!["evaluate", "--samples", "three.npy"], 1, "found f32 [3]"),
        (vec!["evaluate", "none", "--samples", "many.npy"], 2, "none: no such file or directory"),
        (vec!["evaluate", "--samples", "words.npy"], 1, "words.npy"),
        (vec!["evaluate", "--samples", "none.npy"], 2, "none.npy: no such file or directory"),
        (vec!["evaluate", "none"], 2, "none: no such file or directory"),
        (vec!["evaluate", "--samples", "empty"], 2, "empty"),
        (vec!["evaluate", "empty"], 2, "holds no generator.safetensors"),
        (
            vec!["evaluate", "--samples", "one.npy", "--features", "flat.npy"],
            1,
            "flat.npy: is a .npy file, not a safetensors file",
        ),
        (
            vec!["evaluate", "--samples", "one.npy", "--data", "mnist-5k", "--data-dir", "empty"],
            2,
            "embedded",
        ),
        (vec!["evaluate", "--samples", "one.npy", "--data-dir", "empty"], 2, "empty"),
    ] {
        let error = fail(at, &args, code);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn a_run_can_judge_itself_and_keeps_its_best() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets = [
        "train.evaluate.every-kimg=1",
        "train.evaluate.count=128",
        "train.steps=160",
        "train.health.every=0",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let args = small("run");
    succeed(at, &small_with(&args, &sets));
    let text = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The batches have 16 images. Evaluated are the first step after each thousand images, and the
    // last step.
    let judged: Vec<(u64, f64)> = lines
        .iter()
        .filter(|line| line.get("evaluate").is_some())
        .map(|line| (line["step"].as_u64().unwrap(), number(&line["evaluate"]["mnist_fd"])))
        .collect();
    assert_eq!(judged.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [63, 126, 160]);
    let best = judged.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let record: Value =
        serde_json::from_slice(&std::fs::read(at.join("run/best/evaluation.json")).unwrap()).unwrap();
    assert_eq!((record["step"].as_u64(), record["frechet_distance"].as_f64()), (Some(best.0), Some(best.1)));
    let shown = succeed(at, &["inspect", "run/best/generator.safetensors"]);
    assert!(shown.contains(&format!("{} steps", best.0)), "{shown}");
    // `sample` with the run draws from its best generator.
    succeed(at, &["-q", "sample", "run", "--count", "2", "--out", "run.npy"]);
    succeed(at, &["-q", "sample", "run/best/generator.safetensors", "--count", "2", "--out", "best.npy"]);
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(read("run.npy") == read("best.npy"));
}
