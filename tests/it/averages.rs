//! Tests that the average in a checkpoint is drawn from as the run draws from its average.

use crate::program::{fail, run, succeed};
use std::path::Path;

/// A run of a generator with batch norm, whose statistics in a checkpoint are not those of the average.
fn trained(at: &Path) {
    let sets = [
        "data.name=mnist-5k",
        "data.batch-size=16",
        "model.latent-dim=8",
        "model.generator.widths=[8, 4]",
        "model.discriminator.widths=[4, 8]",
        "train.ema={ half-life-kimg = 0.5 }",
        "train.steps=20",
        "train.checkpoint-every=10",
        "train.health.every=0",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    succeed(at, &[&["train", "--config", "dcgan-28", "--out", "run"][..], &sets].concat());
}

#[test]
fn a_checkpoint_is_drawn_from_as_its_run() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let checkpoint = "run/checkpoints/step-00000020";
    let average = &format!("{checkpoint}/ema.safetensors");
    let drawn = |from: &str, more: &[&str]| {
        let args = ["sample", from, "--count", "8", "--out", "x.npy"];
        succeed(at, &[&args[..], more].concat());
        std::fs::read(at.join("x.npy")).unwrap()
    };
    let expected = drawn("run", &[]);
    for from in [checkpoint, average, "run/ema.safetensors"] {
        assert!(drawn(from, &[]) == expected, "{from}");
    }
    assert!(drawn(average, &["--config", "run/config.toml"]) == expected);
    assert!(drawn("run/generator.safetensors", &[]) != expected);
    assert!(drawn("run/checkpoints/step-00000010", &[]) != expected);
    assert!(succeed(at, &["inspect", checkpoint]).contains("20 steps, 320 images"));
    succeed(at, &["export", checkpoint, "--out", "x.onnx"]);

    // A checkpoint in the directory of another one is not drawn from.
    let wrong = at.join("run/checkpoints/step-00000015");
    std::fs::create_dir(&wrong).unwrap();
    for file in std::fs::read_dir(at.join(checkpoint)).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, wrong.join(file.file_name().unwrap())).unwrap();
    }
    let error = fail(at, &["sample", "run/checkpoints/step-00000015"], 1);
    assert!(error.contains("a generator of step 20, in the directory of step 15"), "{error}");
    std::fs::remove_dir_all(wrong).unwrap();

    // Without the file, the last weights are drawn from, and that is said.
    let older = "run/checkpoints/step-00000010";
    std::fs::remove_file(at.join(older).join("ema.safetensors")).unwrap();
    let output = run(at, &["sample", older, "--out", "older.npy"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("step-00000010/ema.safetensors is missing: drawing from the weights"), "{log}");

    // Elsewhere nothing says which statistics belong to it.
    std::fs::copy(at.join(average), at.join("copy.safetensors")).unwrap();
    for more in [&[][..], &["--config", "run/config.toml"]] {
        let error = fail(at, &[&["sample", "copy.safetensors"][..], more].concat(), 1);
        assert!(error.contains("found a checkpoint's average without statistics"), "{error}");
    }
    let mut bytes = std::fs::read(at.join(average)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(at.join(average), bytes).unwrap();
    let error = fail(at, &["sample", checkpoint], 1);
    assert!(error.contains("ema.safetensors: damaged: expected SHA-256 "), "{error}");
}
