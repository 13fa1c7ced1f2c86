//! Tests the files of exported networks. That other programs compute the same is tested where they are
//! made, and in `cargo xtask parity`.

use crate::program::{fail, small, small_with, succeed};
use safetensors::SafeTensors;

#[test]
fn networks_are_exported_to_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "model.classes=10", "--set", "train.steps=2"]));
    for (network, expected) in [("generator", "images"), ("discriminator", "logits")] {
        let out = format!("{network}.onnx");
        succeed(at, &["export", "run", "--network", network, "--out", &out]);
        let bytes = std::fs::read(at.join(&out)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(".weight") && text.contains(expected) && text.contains("class"), "{network}");
        succeed(at, &["export", "run", "--format", "pytorch", "--network", network, "--out", "program"]);
        let program = std::fs::read_to_string(at.join(format!("program/{network}.py"))).unwrap();
        for part in ["nn.Sequential(", "nn.Linear(", "def forward(self, ", "classes"] {
            assert!(program.contains(part), "{program}");
        }
        let weights = std::fs::read(at.join(format!("program/{network}.safetensors"))).unwrap();
        assert!(SafeTensors::deserialize(&weights).unwrap().names().len() > 2);
    }
    succeed(at, &["export", "run", "--format", "hub", "--license", "mit", "--out", "model"]);
    let card = std::fs::read_to_string(at.join("model/README.md")).unwrap();
    for part in [
        "license: \"mit\"\n",
        "28x28 pixels, gray",
        "[N, 8]",
        "Classes, from 0: 0, 1, 2",
        "CC BY-SA 3.0",
        "not evaluated",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert_eq!(image::image_dimensions(at.join("model/samples.png")).unwrap(), (242, 242));
    for file in ["generator.py", "generator.safetensors", "generator.onnx", "config.toml"] {
        assert!(at.join("model").join(file).exists(), "{file}");
    }
    let table = succeed(at, &["inspect", "program/generator.safetensors"]);
    assert!(table.contains("trained on mnist-5k"), "{table}");
    let error = fail(at, &["export", "run", "--format", "pytorch", "--out", "program"], 2);
    assert!(error.contains("--out: program/generator.py exists already"), "{error}");
    let error = fail(at, &["export", "run", "--out", "x.pt"], 2);
    assert!(error.contains("--out: expected X.onnx, found x.pt"), "{error}");
    let error = fail(at, &["export", "run", "--out", "run/samples/x.onnx"], 2);
    assert!(error.contains("belongs to the run "), "{error}");
    let from = ["export", "run/generator.safetensors", "--network", "discriminator", "--out", "d.onnx"];
    assert!(fail(at, &from, 2).contains("expected the directory of a run with a checkpoint"));
}
