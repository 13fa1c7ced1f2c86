//! Tests which crates may depend on which, so that each can be used alone, and that no file is
//! left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn dependencies_between_the_crates_go_one_way() {
    let allowed = BTreeMap::from([
        ("gan-files", vec![]),
        ("gan-ops", vec![]),
        ("gan-data", vec!["gan-files"]),
        ("gan-models", vec!["gan-files", "gan-ops"]),
        ("gan-train", vec!["gan-files", "gan-models", "gan-ops"]),
        ("gan-metrics", vec!["gan-files", "gan-models", "gan-ops"]),
        ("gan-cli", vec!["gan-data", "gan-files", "gan-metrics", "gan-models", "gan-ops", "gan-train"]),
        ("xtask", vec![]),
    ]);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), allowed.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap();
        // Dependencies of examples and tests are not restricted.
        let dependencies = dependencies.iter().filter(|d| d["kind"].is_null());
        let dependencies = dependencies.map(|d| d["name"].as_str().unwrap());
        let ours: Vec<_> = dependencies.filter(|d| allowed.contains_key(d)).collect();
        for dependency in ours {
            assert!(allowed[name].contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

/// A file that no `mod` line names is silently not compiled.
#[test]
fn every_source_file_is_a_module() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut directories: Vec<_> = children(&root.join("crates")).map(|krate| krate.join("src")).collect();
    directories.push(root.join("xtask/src"));
    let mut checked = 0;
    while let Some(directory) = directories.pop() {
        let parents = ["lib.rs", "main.rs", "mod.rs"].map(|name| directory.join(name));
        let parents = parents.into_iter().chain([directory.with_extension("rs")]);
        let parents: String = parents.filter_map(|parent| std::fs::read_to_string(parent).ok()).collect();
        for path in children(&directory) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !["lib", "main", "mod"].contains(&name) {
                let is_module = parents.lines().any(|line| line.ends_with(&format!("mod {name};")));
                assert!(is_module, "{} is in no `mod` line", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path())
}
