//! Tests bad input to the program. It prints one error that names file, field, expected and found,
//! and nothing is lost.

use crate::program::{fail, small, small_with, succeed, without_checksums};
use std::path::Path;

fn train<'a>(config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--config", config, "--out", "run"][..], more].concat()
}

#[test]
fn configurations() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let good =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/mnist-5k.toml")).unwrap();
    for (from, to, expected) in [
        ("[data]", "[dota]", "unknown field `dota`"),
        ("batch-size", "batch_size", "data.batch_size: unknown field `batch_size`"),
        (
            "arch = \"dcgan\"",
            "arch = \"vae\"",
            "model.arch: unknown variant `vae`, expected one of `mlp`, `dcgan`, `residual`",
        ),
        ("seed = 0", "seed = \"zero\"", "seed: invalid type: string \"zero\", expected a whole number"),
        ("[train]", "[train", "line "),
        ("seed = 0", "", "expected these keys too: seed"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(at.join("bad.toml"), good.replacen(from, to, 1)).unwrap();
        let error = fail(at, &train("bad.toml", &[]), 2);
        assert!(error.contains("bad.toml: "), "{error}");
        let output = crate::program::run(at, &train("bad.toml", &[]));
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{expected}: {output:?}");
    }
    for (set, expected) in [
        ("data.batch-size=0", "mnist-5k: data.batch-size: expected at least 1, found 0"),
        (
            "data.batch-size=5001",
            "mnist-5k: data.batch-size: expected 1..=5000 (the images in mnist-5k), found 5001",
        ),
        ("train.generator.lr=-0.1", "train.generator.lr: expected a positive number, found -0.1"),
        ("train.accumulate=3", "train.accumulate: expected a divisor of the 64 images in a batch, found 3"),
        ("train.steps=0", "train.steps: expected at least 1, found 0"),
        ("model.image-size=27", "model.image-size: expected 28, 32, 64 or 128 for dcgan, found 27"),
        ("model.latent-dim=99999999", "model.latent-dim: expected a whole number from 1 to 16384"),
        ("data.name=mnist-6k", "data.name: unknown variant `mnist-6k`"),
    ] {
        let error = fail(at, &train("mnist-5k", &["--set", set]), 2);
        assert!(error.contains(expected), "{error}");
    }
    let error = fail(at, &train("nowhere.toml", &[]), 2);
    assert!(error.contains("nowhere.toml: No such file"), "{error}");
    assert!(!at.join("run").exists(), "a run that cannot start leaves no directory");
}

#[test]
fn what_needs_too_much_memory_is_refused_before_it_is_allocated() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let wide = ["--set", "model.generator.widths=[16384, 16384, 16384, 16384]"];
    for command in [&["train", "--out", "run"][..], &["bench"]] {
        let error = fail(at, &[command, &["--config", "mlp-001"][..], &wide].concat(), 2);
        let expected = "mlp-001: expected a need of at most 4 GiB of memory, estimated ";
        assert!(error.contains(expected) && error.contains("the generator's weights "), "{error}");
    }
    assert!(std::fs::read_dir(at).unwrap().next().is_none(), "nothing was written");

    let args = small("run");
    let error = fail(at, &small_with(&args, &["--memory", "0.05"]), 2);
    assert!(error.ends_with("; --memory 1 allows it"), "{error}");
    succeed(at, &small_with(&args, &["--memory", "1", "--set", "train.steps=2"]));
    let error = fail(
        at,
        &["train", "--out", "run", "--resume", "--set", "train.sample-count=4096", "--memory", "0.1"],
        2,
    );
    assert!(error.contains("expected a need of at most 0.1 GiB of memory"), "{error}");
    let sample = ["sample", "run", "--count", "200000", "--out", "grid.png"];
    let error = fail(at, &[&sample[..], &["--memory", "0.3"]].concat(), 2);
    assert!(
        error.contains("--count: expected a need of at most 0.3 GiB") && error.contains("picture"),
        "{error}"
    );
    assert!(!at.join("grid.png").exists());
    // The images of an array are written chunk by chunk.
    succeed(at, &["sample", "run", "--count", "2000", "--out", "grid.npy", "--memory", "0.3"]);
    let text = succeed(at, &["inspect", "mlp-001"]);
    assert!(text.contains("\nmemory for training: about ") && text.ends_with(" MiB)\n"), "{text}");
}

#[test]
fn generators() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let whole = std::fs::read(at.join("run/generator.safetensors")).unwrap();
    let good = without_checksums(&whole);
    let sample = |bytes: &[u8]| {
        std::fs::write(at.join("bad.safetensors"), bytes).unwrap();
        fail(at, &["sample", "bad.safetensors", "--out", "x.png"], 1)
    };
    assert!(
        sample(&good[..good.len() - 1]).contains("bad.safetensors: is truncated or not a safetensors file")
    );
    // A file of PyTorch has no description.
    std::fs::write(at.join("bad.safetensors"), b"PK\x03\x04 a zip: x/data.pkl").unwrap();
    let error = fail(at, &["sample", "bad.safetensors", "--out", "x.png"], 2);
    assert!(error.ends_with("for a PyTorch state dict, --config says which model it is"), "{error}");
    let error = fail(at, &["sample", "bad.safetensors", "--config", "mlp-002", "--out", "x.png"], 1);
    assert!(error.contains("bad.safetensors: is damaged or not a state dict of PyTorch (the ZIP"), "{error}");
    let file = safetensors::SafeTensors::deserialize(&good).unwrap();
    let doubles: Vec<u8> = [1e300f64; 784].iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensors = file.tensors().into_iter().map(|(name, tensor)| {
        let double = safetensors::tensor::TensorView::new(safetensors::Dtype::F64, vec![784], &doubles);
        let is_last_bias = tensor.shape() == [784];
        (name, if is_last_bias { double.unwrap() } else { tensor })
    });
    let (_, header) = safetensors::SafeTensors::read_metadata(&good).unwrap();
    let error = sample(&safetensors::serialize(tensors, header.metadata().clone()).unwrap());
    assert!(error.ends_with(".bias holds 1e300, which is too large for f32"), "{error}");
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = sample(&nan);
    assert!(
        error.contains("bad.safetensors: tensor model.") && error.ends_with("holds NaN or infinity"),
        "{error}"
    );
    // The same tensors with a wrong description: 9 latents instead of 8.
    let text = String::from_utf8_lossy(&good[8..600]).into_owned();
    let at_latents = 8 + text.find("latent-dim\\\":8").unwrap() + "latent-dim\\\":".len();
    let mut other = good.clone();
    other[at_latents] = b'9';
    let error = sample(&other);
    assert!(error.contains("tensor model.0.weight: expected shape [16, 9], found [16, 8]"), "{error}");
    let error = fail(at, &["sample", "nowhere.safetensors"], 2);
    assert!(error.contains("nowhere.safetensors: no such file"), "{error}");
    let error = fail(at, &["sample", "run/samples", "--out", "x.png"], 2);
    assert!(error.contains("run/samples holds no generator.safetensors"), "{error}");
    let error = fail(at, &["sample", "run", "--out", "x.gif"], 2);
    assert!(error.contains("expected X.png, X.npy, X.safetensors or DIR/, found x.gif"), "{error}");
    let error = fail(at, &["inspect", "7"], 2);
    assert!(error.contains("7: no such file"), "{error}");
    let error = fail(at, &["sample", "run", "--out", "run/generator.safetensors"], 2);
    assert!(error.contains("is the generator itself"), "{error}");
    assert!(std::fs::read(at.join("run/generator.safetensors")).unwrap() == whole);
    std::fs::write(at.join("file"), "").unwrap();
    let error = fail(at, &["sample", "run", "--out", "file/x.npy"], 2);
    assert!(error.contains("file/x.npy"), "{error}");
}

#[test]
fn data_directories() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = ["--set", "train.steps=1", "--data-dir", "data"];
    let error = fail(at, &train("mlp-001", &args), 2);
    assert!(error.contains("--data-dir: data: no such file or directory"), "{error}");
    std::fs::create_dir(at.join("data")).unwrap();
    let error = fail(at, &train("mlp-001", &args), 2);
    assert!(
        error.contains("train-images-idx3-ubyte") && error.contains("train-images.idx3-ubyte"),
        "{error}"
    );
    std::fs::write(at.join("data/train-images-idx3-ubyte"), b"\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1cx")
        .unwrap();
    std::fs::write(at.join("data/train-labels-idx1-ubyte"), b"\0\0\x08\x01\0\0\0\0").unwrap();
    let error = fail(at, &train("mlp-001", &args), 1);
    assert!(error.contains("truncated: expected 47040016 bytes, found 17"), "{error}");
    std::fs::write(at.join("data/train-images-idx3-ubyte"), b"\0\0\x08\x01\0\0\0\x01\x07").unwrap();
    let error = fail(at, &train("mlp-001", &args), 1);
    assert!(error.contains("expected an IDX image file"), "{error}");
    if !cfg!(feature = "hub") {
        let error = fail(at, &train("mlp-001", &[]), 2);
        assert!(
            error.contains("--data-dir") && error.contains("mnist-5k") && error.contains("hub"),
            "{error}"
        );
    }
    assert!(!at.join("run").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_or_a_file_in_the_way_names_the_path_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
    let checkpoint = at.join("run/checkpoints/step-00000010/state.json");
    let before = std::fs::read(&checkpoint).unwrap();
    // 'ulimit -f' simulates a full disk: it limits each file to so many blocks. The log still fits,
    // but a checkpoint does not.
    let resume = |limit: &str| {
        let command = format!(
            "ulimit -f {limit}; exec {} train --out run --resume --set train.steps=20",
            env!("CARGO_BIN_EXE_gan-cli")
        );
        std::process::Command::new("bash").args(["-c", &command]).current_dir(at).output().unwrap()
    };
    let output = resume("8");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("File too large") && stderr.contains("run/checkpoints"), "{stderr}");
    assert!(stderr.contains("the last good checkpoint is run/checkpoints/step-00000010"), "{stderr}");
    assert_eq!(std::fs::read(&checkpoint).unwrap(), before);
    let leftovers = std::fs::read_dir(at.join("run/checkpoints")).unwrap().count();
    assert_eq!(leftovers, 1, "nothing but the good checkpoint");
    assert!(resume("unlimited").status.success());

    std::fs::write(at.join("file"), "").unwrap();
    let error = fail(at, &small_with(&small("file/run"), &[]), 2);
    assert!(error.contains("file/run"), "{error}");
}

#[test]
fn a_run_that_leaves_the_numbers_stops_with_a_diagnosis() {
    let directory = tempfile::tempdir().unwrap();
    let at: &Path = directory.path();
    let args = small("run");
    let args =
        small_with(&args, &["--set", "train.generator.lr=1e38", "--set", "train.discriminator.lr=1e38"]);
    let error = fail(at, &args, 1);
    assert!(error.contains("is not finite") && error.contains("step "), "{error}");
    assert!(error.contains("try a lower lr"), "{error}");
}
