//! Tests which crates may depend on which, so that each can be used alone.

use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn dependencies_between_the_crates_go_one_way() {
    let allowed = BTreeMap::from([
        ("gan-files", vec![]),
        ("gan-ops", vec![]),
        ("gan-data", vec!["gan-files"]),
        ("gan-models", vec!["gan-files", "gan-ops"]),
        ("gan-train", vec!["gan-files", "gan-models", "gan-ops"]),
        ("gan-metrics", vec!["gan-models", "gan-ops"]),
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
