//! Tests the code of the tutorial: its program compiles, and its configuration trains.

use crate::program::succeed;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The code blocks of the tutorial in one language.
fn blocks(language: &str) -> Vec<String> {
    let tutorial = std::fs::read_to_string(root().join("docs/tutorial.md")).unwrap();
    let opening = format!("```{language}\n");
    let starts = tutorial.split(&opening).skip(1);
    starts.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn its_program_is_the_example() {
    let example = root().join("crates/gan-train/examples/own_program.rs");
    let example = std::fs::read_to_string(example).unwrap();
    // The lint settings are those of the repository.
    let expected: String =
        example.split_inclusive('\n').filter(|line| !line.starts_with("#![expect")).collect();
    assert_eq!(blocks("rust"), [expected]);
}

#[test]
fn its_configuration_trains_on_a_folder() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let shown = blocks("toml").into_iter().find(|block| block.contains("[data]")).unwrap();
    std::fs::write(at.join("shapes.toml"), shown).unwrap();
    for class in ["disc", "square"] {
        std::fs::create_dir_all(at.join("shapes").join(class)).unwrap();
        for i in 0..10 {
            let picture = image::RgbImage::from_pixel(80, 64, image::Rgb([20 * i, 0, 200]));
            picture.save(at.join(format!("shapes/{class}/{i}.png"))).unwrap();
        }
    }
    let train = ["train", "--config", "shapes.toml", "--data-dir", "shapes"];
    succeed(at, &[&train[..], &["--set", "data.batch-size=4", "--set", "train.steps=1"]].concat());
    assert!(at.join("runs/shapes/samples/step-00000001.png").exists());
    succeed(at, &["sample", "runs/shapes", "--class", "disc", "--out", "discs.png"]);
}
