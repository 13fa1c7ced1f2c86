//! Tests the files of exported networks. That other programs compute the same is tested where they are
//! made, and in `cargo xtask parity`.

use crate::program::{fail, run, small, small_with, succeed};
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
    // What this program wrote may be replaced, and nothing else.
    succeed(at, &["export", "run", "--out", "generator.onnx"]);
    std::fs::write(at.join("mine.onnx"), "mine").unwrap();
    let error = fail(at, &["export", "run", "--out", "mine.onnx"], 2);
    assert!(error.contains("--out: mine.onnx exists, and gan-cli did not write it"), "{error}");
    let error = fail(at, &["export", "run", "--format", "pytorch", "--out", "program"], 2);
    assert!(error.contains("--out: program/generator.py exists already"), "{error}");
    let error = fail(at, &["export", "run", "--out", "x.pt"], 2);
    assert!(error.contains("--out: expected X.onnx, found x.pt"), "{error}");
    let error = fail(at, &["export", "run", "--out", "run/samples/x.onnx"], 2);
    assert!(error.contains("belongs to the run "), "{error}");
    let from = ["export", "run/generator.safetensors", "--network", "discriminator", "--out", "d.onnx"];
    assert!(fail(at, &from, 2).contains("expected the directory of a run with a checkpoint"));
}

/// Names are text, whatever they contain.
#[test]
fn names_in_a_card_are_neither_markdown_nor_html() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (class, shade) in [("<b>one", 0), ("two\nlines", 200)] {
        std::fs::create_dir_all(at.join("data").join(class)).unwrap();
        for n in 0..4u8 {
            let picture =
                image::GrayImage::from_fn(28, 28, |x, y| image::Luma([shade + (x + y) as u8 % 40 + n]));
            picture.save(at.join("data").join(class).join(format!("{n}.png"))).unwrap();
        }
    }
    let folder = ["--set", "data.name=folder", "--data-dir", "data", "--set", "model.classes=2"];
    let short = ["--set", "train.steps=2", "--set", "data.batch-size=4"];
    succeed(at, &small_with(&small("<i>_run_"), &[&folder[..], &short].concat()));
    succeed(at, &["export", "<i>_run_", "--format", "hub", "--out", "model"]);
    let card = std::fs::read_to_string(at.join("model/README.md")).unwrap();
    assert!(card.contains("\n# &lt;i&gt;\\_run\\_\n"), "{card}");
    assert!(card.contains("Classes, from 0: &lt;b&gt;one, two\\\\u000alines."), "{card}");
    assert!(!card.contains("<b>") && !card.contains("two\nlines"), "{card}");
}

#[test]
fn a_damaged_discriminator_is_not_exported() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=4", "--set", "train.checkpoint-every=2"]));
    let export = ["export", "run", "--network", "discriminator", "--out", "d.onnx"];
    succeed(at, &export);
    let whole = std::fs::read(at.join("d.onnx")).unwrap();
    let newest = at.join("run/checkpoints/step-00000004");
    let file = newest.join("discriminator.safetensors");
    let weights = std::fs::read(&file).unwrap();
    let mut damaged = weights.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&file, damaged).unwrap();
    // The checkpoint before it is whole.
    let log = String::from_utf8(run(at, &export).stderr).unwrap();
    assert!(log.contains("passing over a damaged checkpoint: "), "{log}");
    let bytes = std::fs::read(at.join("d.onnx")).unwrap();
    assert!(bytes != whole && String::from_utf8_lossy(&bytes).contains("from step-00000002"));
    std::fs::write(&file, weights).unwrap();
    let config = std::fs::read_to_string(at.join("run/config.toml")).unwrap();
    std::fs::write(
        at.join("run/config.toml"),
        config.replace("negative-slope = 0.2", "negative-slope = 0.9"),
    )
    .unwrap();
    let error = fail(at, &export, 2);
    assert!(error.contains("negative-slope"), "{error}");
}
