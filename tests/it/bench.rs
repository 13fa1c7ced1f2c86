//! Tests the parts of `gan-cli bench`'s output that scripts may rely on.

use crate::program::{fail, run, succeed};

const FAST: [&str; 6] = ["bench", "--config", "mnist-5k", "--steps", "2", "--no-sampling"];

#[test]
fn json_is_one_line_with_every_key() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let text = succeed(at, &[&FAST[..], &["--json", "--threads", "1", "--batch", "8"]].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["config"], "mnist-5k");
    for (key, expected) in [("batch", 8), ("steps", 2), ("threads", 1)] {
        assert_eq!(report[key], expected, "{key}");
    }
    let number = |key: &str| report[key].as_f64().filter(|v| v.is_finite() && *v > 0.).ok_or(key).unwrap();
    for key in ["sgemm_gflops", "percent_of_sgemm", "batch_assembly_ms", "d_loss", "g_loss"] {
        number(key);
    }
    let (step, gflop) = (number("step_ms"), number("gflop"));
    assert!(number("step_ms_min") <= step);
    assert!((number("images_per_s") * step / 8e3 - 1.).abs() < 0.01, "{report}");
    assert!((number("gflops") * step / gflop / 1e3 - 1.).abs() < 0.01, "{report}");
    assert!(report["sample_images_per_s"].is_null());
    if cfg!(target_os = "linux") {
        assert!((1. ..10_000.).contains(&number("peak_rss_mib")), "{report}");
    }
    // With two steps each median is a mean, so the parts add up to the whole.
    let phases = report["phases"].as_object().unwrap();
    let sum: f64 = phases.values().map(|ms| ms.as_f64().unwrap()).sum();
    assert!(phases.len() > 5 && (sum / step - 1.).abs() < 0.01, "{sum} of {step}: {report}");
    assert!(std::fs::read_dir(at).unwrap().next().is_none(), "it left a file");
}

#[test]
fn the_table_says_the_same_to_people() {
    let directory = tempfile::tempdir().unwrap();
    let text = succeed(directory.path(), &[&FAST[..], &["--batch", "2"]].concat());
    for part in ["mnist-5k: batch 2, ", "images/s", "GFLOP a step", "d_loss", "G forward", "D update"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // The data of a configuration are not used. Otherwise these would have to be downloaded.
    let text = succeed(directory.path(), &["bench", "--config", "mlp-002", "--steps", "1", "--no-sampling"]);
    assert!(text.starts_with("mlp-002: batch 64, "), "{text}");
}

#[test]
fn bad_arguments_give_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (args, expected) in [
        (&["--config", "mlp-9"][..], "mlp-9: "),
        (&["--set", "train.lr=1"], "train.lr: unknown field `lr`"),
        (
            &["--set", "data.batch-size=0"],
            "data.batch-size: expected a whole number from 1 to 65536, found 0",
        ),
        (&["--batch", "65537"], "--batch: expected a whole number from 1 to 65536, found 65537"),
        (&["--device", "tpu"], "expected cpu, cuda, cuda:N or metal, found tpu"),
    ] {
        let error = fail(at, &[&["bench"], args].concat(), 2);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    for args in [["--steps", "0"], ["--threads", "0"], ["--batch", "many"]] {
        let output = run(at, &[&["bench"][..], &args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains("invalid value"), "{args:?}: {stderr}");
    }
}
