//! Tests training that begins with weights of earlier training.

use crate::program::{fail, run, small, small_with, succeed};
use safetensors::SafeTensors;
use std::path::Path;

/// The tensors of a file by name, as bytes.
fn tensors(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> =
        file.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
    tensors.sort();
    tensors
}

/// Rates that change no weight, so that the first weights are also the last.
const STILL: [&str; 10] = [
    "--set",
    "train.generator.lr=1e-30",
    "--set",
    "train.discriminator.lr=1e-30",
    "--set",
    "train.steps=2",
    "--set",
    "train.ema.half-life-kimg=1000",
    "--set",
    "train.checkpoint-every=2",
];

#[test]
fn training_begins_with_the_weights_of_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("first"), &["--set", "train.ema.half-life-kimg=0.1"]));
    let next = |out: &'static str, more: &[&'static str]| {
        let args = small(out);
        let output = run(at, &small_with(&args, &[&STILL[..], more].concat()));
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        log
    };
    let log = next("second", &["--init-from", "first"]);
    assert!(log.contains("first: both networks and the average"), "{log}");
    let checkpoints = ["first/checkpoints/step-00000040", "second/checkpoints/step-00000002"];
    for file in ["generator.safetensors", "discriminator.safetensors"] {
        let [before, after] = checkpoints.map(|checkpoint| tensors(&at.join(checkpoint).join(file)));
        // Statistics of batch norm go on.
        let is_weight = |(name, _): &&(String, Vec<u8>)| !name.contains("running");
        assert!(before.iter().filter(is_weight).eq(after.iter().filter(is_weight)), "{file}");
    }
    // The path is absolute, and a resume needs it no more.
    let config = std::fs::read_to_string(at.join("second/config.toml")).unwrap();
    assert!(config.contains("[train.init]") && config.contains("/first\""), "{config}");
    std::fs::rename(at.join("first"), at.join("moved")).unwrap();
    succeed(at, &["train", "--resume", "--out", "second", "--set", "train.steps=4"]);

    let log = next("third", &["--init-from", "moved/generator.safetensors"]);
    assert!(log.contains("the generator; the discriminator begins with random weights"), "{log}");
    let other = ["--set", "model.latent-dim=9"];
    let from = ["--init-from", "moved"];
    let args = small("other");
    let error = fail(at, &small_with(&args, &[&other[..], &from].concat()), 2);
    assert!(error.contains("tensor model.0.weight: expected shape [16, 9], found [16, 8]"), "{error}");
    assert!(!at.join("other").exists());
    let log = next("other", &["--set", "model.latent-dim=9", "--init-from", "moved", "--init-partial"]);
    let expected = "left out: generator: model.0.weight has the shape [16, 9], and the file [16, 8]";
    assert!(log.contains(expected), "{log}");
    // Weights that fit may still mean something else.
    let log = next("other-layers", &["--set", "model.generator.activation=relu", "--init-from", "moved"]);
    let expected = "trained with model.generator.activation = \"leaky-relu\", and this run has \"relu\"";
    assert!(log.contains(expected), "{log}");
    assert!(!next("same", &["--init-from", "moved"]).contains("WARN"));
    let args = small("none");
    let error = fail(at, &small_with(&args, &["--init-from", "gone"]), 2);
    assert!(error.contains("--init-from: gone: no such file") && !at.join("none").exists(), "{error}");
}

/// The average depends on the beginning of a run, which a resume with a file of `--config` must not forget.
#[test]
fn a_resume_knows_how_the_run_began() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let average = ["--set", "train.ema.half-life-kimg=10", "--set", "train.ema.ramp-up=0.05"];
    let train = |out: &'static str, more: &[&'static str]| {
        succeed(at, &small_with(&small(out), &[&average[..], more].concat()));
    };
    train("first", &["--set", "train.steps=40"]);
    let from = std::fs::read_to_string(at.join("first/config.toml")).unwrap();
    std::fs::write(at.join("c.toml"), from).unwrap();
    for out in ["own", "given"] {
        train(out, &["--set", "train.steps=10", "--init-from", "first"]);
    }
    succeed(at, &["train", "--resume", "--out", "own", "--set", "train.steps=20"]);
    let given = ["train", "--resume", "--out", "given", "--config", "c.toml", "--set", "train.steps=20"];
    succeed(at, &given);
    for file in ["ema.safetensors", "generator.safetensors", "config.toml"] {
        let [own, given] = ["own", "given"].map(|run| std::fs::read(at.join(run).join(file)).unwrap());
        assert!(own == given, "{file}");
    }
    // A run that was killed before its first checkpoint begins as it began.
    for run in ["own", "given"] {
        let run = at.join(run);
        std::fs::remove_dir_all(run.join("checkpoints")).unwrap();
        for file in ["ema.safetensors", "generator.safetensors", "metrics.jsonl"] {
            std::fs::remove_file(run.join(file)).unwrap();
        }
    }
    let log = String::from_utf8(run(at, &given).stderr).unwrap();
    assert!(log.contains("beginning with the weights of ") && log.contains("/first"), "{log}");
    // Another run did not begin so.
    let init = format!("train.init.from={}", at.join("first").display());
    let error = fail(at, &["train", "--resume", "--out", "first", "--set", &init], 2);
    assert!(error.contains("train.init: the run did not begin with other weights"), "{error}");
}
