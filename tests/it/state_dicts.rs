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
        let error = fail(at, &[command, "plain.safetensors"], 2);
        let expected = "plain.safetensors: has no model description: expected a generator that was trained \
                        here; for a PyTorch state dict, --config says which model it is";
        assert!(error.ends_with(expected), "{error}");
    }
    let error = fail(at, &["sample", "plain.safetensors", "--config", "mlp-002"], 1);
    assert!(error.contains("tensor model.0.weight: expected shape [256, 100], found [16, 8]"), "{error}");
    // The file's own description decides, so another configuration would be a mistake.
    let other = std::fs::read_to_string(at.join("run/config.toml")).unwrap();
    let slope = "negative-slope = 0.2";
    assert!(other.contains(slope), "{other}");
    std::fs::write(at.join("other.toml"), other.replacen(slope, "negative-slope = 0.9", 1)).unwrap();
    for command in ["sample", "inspect", "evaluate"] {
        let error = fail(at, &[command, "run/generator.safetensors", "--config", "other.toml"], 2);
        let expected = "run/generator.safetensors: model.generator.negative-slope: expected 0.9 as in \
                        other.toml, found 0.2: leave --config out, because the file contains its model";
        assert!(error.ends_with(expected), "{error}");
    }
    std::fs::write(at.join("other.toml"), other.replace("latent-dim", "latent = \"uniform\"\nlatent-dim"))
        .unwrap();
    let error = fail(at, &["sample", "run/generator.safetensors", "--config", "other.toml"], 2);
    assert!(
        error.contains("model.latent: expected \"uniform\" as in other.toml, found the default"),
        "{error}"
    );
    let text = succeed(at, &[&["inspect", "run/generator.safetensors"][..], &config].concat());
    assert_eq!(text, of_run);
    let error = fail(at, &["inspect", "mlp-002", "--config", "mlp-002"], 2);
    assert!(error.contains("--config: expected a file of weights with it, found mlp-002"), "{error}");
}

#[test]
fn a_run_draws_only_from_its_own_model() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let average = ["--set", "train.steps=2", "--set", "train.ema.half-life-kimg=1"];
    succeed(at, &small_with(&small("kept"), &average));
    let wide = ["--set", "train.steps=2", "--set", "model.generator.widths=[24]"];
    succeed(at, &small_with(&small("other"), &wide));
    for (run, name) in [("run", "generator.safetensors"), ("kept", "ema.safetensors")] {
        std::fs::copy(at.join("other/generator.safetensors"), at.join(run).join(name)).unwrap();
        for command in ["sample", "inspect", "evaluate"] {
            let error = fail(at, &[command, run], 2);
            let expected = format!(
                "{run}/{name}: model.generator.widths: expected [16] as in {run}/config.toml, found [24]: the \
                 file does not belong to this run"
            );
            assert!(error.ends_with(&expected), "{error}");
        }
    }
    std::fs::copy(at.join("other/generator.safetensors"), at.join("run/ema.safetensors")).unwrap();
    // The same holds for a file of the run, and for a directory in it.
    let checkpoint = "run/checkpoints/step-00000002";
    std::fs::copy(at.join("other/generator.safetensors"), at.join(checkpoint).join("generator.safetensors"))
        .unwrap();
    std::fs::create_dir_all(at.join("run/best")).unwrap();
    std::fs::copy(at.join("other/generator.safetensors"), at.join("run/best/generator.safetensors")).unwrap();
    let checkpoint_file = format!("{checkpoint}/generator.safetensors");
    let files = ["run/generator.safetensors", "run/ema.safetensors", "run/best/generator.safetensors"];
    for from in files.into_iter().chain([&checkpoint_file[..], checkpoint, "run/best"]) {
        for command in ["sample", "inspect", "evaluate"] {
            let error = fail(at, &[command, from], 2);
            assert!(
                error.contains("model.generator.widths: expected [16] as in ")
                    && error.ends_with("run/config.toml, found [24]: the file does not belong to this run"),
                "{from}: {error}"
            );
        }
    }
    succeed(at, &["inspect", "other/generator.safetensors"]);
    // Without a configuration, a directory of weights is no run that they could not belong to.
    std::fs::remove_file(at.join("run/config.toml")).unwrap();
    succeed(at, &["sample", "run", "--count", "2", "--out", "x.npy"]);
}
