//! Tests generators that PyTorch saved again: weights without a description of the model.

use crate::program::{fail, small, small_with, succeed};
use safetensors::SafeTensors;
use std::path::Path;

/// Writes the weights of a generator under other names, as PyTorch does: without metadata.
fn saved_again(from: &Path, to: &Path, name: impl Fn(&str) -> String) {
    let bytes = std::fs::read(from).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().map(|(old, tensor)| (name(&old), tensor));
    std::fs::write(to, safetensors::serialize(tensors, None).unwrap()).unwrap();
}

#[test]
fn weights_without_a_description_are_drawn_from_with_their_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let own = at.join("run/generator.safetensors");
    saved_again(&own, &at.join("plain.safetensors"), str::to_owned);
    saved_again(&own, &at.join("parallel.safetensors"), |name| {
        format!("module.main.{}", name.strip_prefix("model.").unwrap())
    });
    let draw = |from: &str, out: &str, more: &[&str]| {
        succeed(at, &[&["sample", from, "--count", "3", "--out", out][..], more].concat());
        std::fs::read(at.join(out)).unwrap()
    };
    let config = ["--config", "run/config.toml"];
    let expected = draw("run", "run.npy", &[]);
    for from in ["plain.safetensors", "parallel.safetensors", "run/generator.safetensors"] {
        assert!(draw(from, "x.npy", &config) == expected, "{from}");
    }
    let text = succeed(at, &[&["inspect", "plain.safetensors"][..], &config].concat());
    let of_run = succeed(at, &["inspect", "run"]);
    assert_eq!(text, of_run.split_once("\n\n").unwrap().1);
    let table = succeed(at, &[&["evaluate", "plain.safetensors", "--count", "64"][..], &config].concat());
    assert!(table.starts_with("plain.safetensors: 64 images, gray\n"), "{table}");

    for command in ["sample", "inspect", "evaluate"] {
        let error = fail(at, &[command, "plain.safetensors"], 1);
        let expected = "plain.safetensors: has no model description: expected a generator that was trained \
                        here; for a PyTorch state dict, --config says which model it is";
        assert!(error.ends_with(expected), "{error}");
    }
    let error = fail(at, &["sample", "plain.safetensors", "--config", "mlp-002"], 1);
    assert!(error.contains("tensor model.0.weight: expected shape [256, 100], found [16, 8]"), "{error}");
    let error = fail(at, &["inspect", "mlp-002", "--config", "mlp-002"], 2);
    assert!(error.contains("--config: expected a file of weights with it, found mlp-002"), "{error}");
}
