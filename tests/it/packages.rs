//! Tests that each crate's package contains all files that it is built from, and the metadata that
//! a registry needs.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn cargo(args: &[&str]) -> String {
    let manifest = format!("{ROOT}/Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(args).args(["--offline", "--manifest-path", &manifest]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// cargo's metadata of the published crates.
fn published() -> Vec<Value> {
    let mut metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let Value::Array(mut packages) = metadata["packages"].take() else { panic!("no packages") };
    packages.retain(|package| package["publish"].is_null());
    assert_eq!(packages.len(), 7);
    packages
}

#[test]
fn every_file_that_a_crate_includes_is_in_its_package() {
    let mut includes = 0;
    for package in published() {
        let name = package["name"].as_str().unwrap();
        let directory = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let list = cargo(&["package", "--package", name, "--list", "--allow-dirty"]);
        let files: BTreeSet<PathBuf> = list.lines().map(PathBuf::from).collect();
        for source in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
            let text = std::fs::read_to_string(directory.join(source)).unwrap();
            for included in included(&text) {
                let file = resolve(source.parent().unwrap(), included);
                let in_package = file.as_ref().is_some_and(|file| files.contains(file));
                assert!(in_package, "{name}: {} includes {included}: outside the package", source.display());
                includes += 1;
            }
        }
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(files.contains(Path::new(file)), "{name}: no {file}");
        }
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
            let same = read(directory.join(licence)) == read(Path::new(ROOT).join(licence));
            assert!(same, "{name}: {licence} is another text (a checkout without symbolic links?)");
        }
    }
    // The included files are the configurations, the readmes and the data.
    assert!(includes >= 26, "only {includes} includes found");
}

/// The literal paths that a source file includes.
fn included(text: &str) -> impl Iterator<Item = &str> {
    let calls = ["include_str!(\"", "include_bytes!(\"", "include!(\""];
    let after = calls.into_iter().flat_map(move |call| text.split(call).skip(1));
    after.map(|rest| rest.split_once('"').unwrap().0)
}

/// Resolves `relative` from a directory of the package. `None` if the path is outside the package.
fn resolve(directory: &Path, relative: &str) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    for component in Path::new(relative).components() {
        match component {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            Component::CurDir => (),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[test]
fn the_metadata_are_what_a_registry_takes() {
    for package in published() {
        let name = &package["name"];
        let list = |key: &str| package[key].as_array().unwrap().clone();
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[key].is_string(), "{name}: no {key}");
        }
        let keywords = list("keywords");
        assert!((1..=5).contains(&keywords.len()), "{name}: {} keywords", keywords.len());
        assert!(keywords.iter().all(|k| k.as_str().unwrap().len() <= 20), "{name}: a long keyword");
        assert!((1..=5).contains(&list("categories").len()), "{name}: no categories");
        for dependency in list("dependencies") {
            assert_ne!(dependency["req"], "*", "{name}: {} without a version", dependency["name"]);
        }
    }
}
