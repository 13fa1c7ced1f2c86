//! Tests that SIGTERM ends every command soon, whatever it does.

use crate::program::{gan_cli, small, small_with, succeed};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the program promises.
const SOON: Duration = Duration::from_secs(2);

/// Sends SIGTERM to a command after each delay. At least one must come before the command's end. Each must
/// end the command soon, and leave nothing unfinished.
fn ends_soon(at: &Path, args: &[&str], delays: &[u64]) {
    let mut heard = 0;
    for delay in delays {
        let mut child = gan_cli(at, args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(*delay));
        let is_running = child.try_wait().unwrap().is_none();
        let start = Instant::now();
        let kill = ["-TERM".to_owned(), child.id().to_string()];
        if is_running {
            assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
        }
        let output = child.wait_with_output().unwrap();
        let (took, stderr) = (start.elapsed(), String::from_utf8_lossy(&output.stderr));
        assert!(
            !stderr.contains("ERROR") && !stderr.contains("panicked"),
            "{args:?} after {delay} ms: {stderr}"
        );
        assert!(took < SOON, "{args:?} after {delay} ms: {took:?}: {stderr}");
        heard += u8::from(!output.status.success());
        let left = gan_files::entries(at).unwrap();
        let is_unfinished =
            |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".gan-");
        assert!(!left.iter().any(is_unfinished), "{args:?} after {delay} ms: {left:?}");
        let _ = std::fs::remove_dir_all(at.join("new"));
    }
    assert!(heard > 0, "{args:?} always ended before the signal");
}

/// A folder of two classes that takes seconds to read. Its pictures are links to the same large one.
fn slow_folder(at: &Path) {
    let picture = image::RgbImage::from_fn(4000, 3000, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    picture.save(at.join("large.png")).unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir_all(at.join("faces").join(class)).unwrap();
        for n in 0..40 {
            std::fs::hard_link(at.join("large.png"), at.join(format!("faces/{class}/{n}.png"))).unwrap();
        }
    }
}

#[test]
fn reading_pictures_ends_soon() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    slow_folder(at);
    let look = ["--size", "64"];
    let of = |start: &[&'static str]| -> Vec<&'static str> { start.iter().copied().chain(look).collect() };
    for args in [
        ["train", "--config", "dcgan-64", "--data-dir", "faces", "--set", "data.name=folder", "--out", "new"]
            .to_vec(),
        of(&["data", "prepare", "faces", "--out", "new.zip"]),
        of(&["data", "prepare", "faces", "--out", "new.zip", "--background", "mean"]),
        of(&["data", "info", "--name", "folder", "--data-dir", "faces", "--out", "new.png"]),
        of(&["train-classifier", "--data", "folder", "--data-dir", "faces", "--out", "new.safetensors"]),
    ] {
        ends_soon(at, &args, &[100, 900, 2500]);
    }
}

#[test]
fn drawing_and_measuring_end_soon() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sets = ["train.steps=1", "data.batch-size=2", "train.health.every=0", "train.sample-count=1"];
    let mut train = vec!["train", "--config", "dcgan-64", "--out", "run", "--set", "data.name=mnist-5k"];
    train.extend(sets.iter().flat_map(|set| ["--set", *set]));
    succeed(at, &train);
    image::RgbImage::new(64, 64).save(at.join("picture.png")).unwrap();
    for args in [
        &["sample", "run", "--count", "20000", "--out", "new.npy"][..],
        &["sample", "run", "--count", "5000", "--out", "new.png"],
        &["sample", "run", "--count", "5000", "--out", "new/"],
        &["walk", "run", "--count", "9", "--frames", "500", "--out", "new.gif"],
        &["project", "run", "picture.png", "--steps", "5000", "--out", "new.npy"],
        &["evaluate", "run", "--count", "2500"],
        &["train-classifier", "--out", "new.safetensors"],
    ] {
        ends_soon(at, args, &[100, 1500, 4000]);
    }
}

#[test]
fn preparing_and_judging_a_run_end_soon() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // The evaluation takes seconds before the first step, and again after the last.
    let args = small("new");
    let evaluated = ["--set", "train.steps=1", "--set", "train.evaluate.every-kimg=0"];
    let evaluated = small_with(&args, &[&evaluated[..], &["--set", "train.evaluate.count=2500"]].concat());
    ends_soon(at, &evaluated, &[500, 2000, 4000, 6000, 9000]);
    // A grid of many large images, of a network whose checkpoints are small.
    let sets = [
        "data.name=mnist-5k",
        "data.batch-size=2",
        "model.generator.widths=[64, 32, 16, 8]",
        "model.discriminator.widths=[8, 16, 32, 64]",
        "train.steps=100",
        "train.sample-every=1",
        "train.sample-count=4096",
        "train.health.every=0",
    ];
    let mut grids = vec!["train", "--config", "dcgan-64", "--out", "new", "--memory", "16"];
    grids.extend(sets.iter().flat_map(|set| ["--set", *set]));
    ends_soon(at, &grids, &[500, 2000, 4000]);
}
