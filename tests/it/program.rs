//! Runs the `gan-cli` that cargo built for these tests.

use std::path::Path;
use std::process::{Command, Output};

/// The command `gan-cli ARGS` in `directory`. Its environment does not depend on the machine's.
pub(crate) fn gan_cli(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gan-cli"));
    command.args(args).current_dir(directory).env("RUST_BACKTRACE", "1").env_remove("GAN_DATA_DIR");
    command.env("TORCH_HOME", "torch");
    command
}

/// Whether programs that these tests start ignore a signal, such as `HUP` under `nohup`, or `INT` in
/// the background of a script. A handler would undo that, so they do not install one.
#[cfg(unix)]
pub(crate) fn ignores(signal: &str) -> bool {
    let number = match signal {
        "HUP" => 1,
        "INT" => 2,
        "TERM" => 15,
        "QUIT" => 3,
        "USR1" => 10,
        "ALRM" => 14,
        other => panic!("no number of {other}"),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (number - 1)) != 0)
}

/// Runs the command to its end.
pub(crate) fn run(directory: &Path, args: &[&str]) -> Output {
    gan_cli(directory, args).output().unwrap()
}

/// Runs the command, requires success, and returns standard output.
pub(crate) fn succeed(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the command, requires the exit code and a single line of error, and returns that line.
pub(crate) fn fail(directory: &Path, args: &[&str], code: i32) -> String {
    let output = run(directory, args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    let errors: Vec<_> = stderr.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].trim().to_owned()
}

/// The lines of a run's `metrics.jsonl` without the values that depend on the clock.
pub(crate) fn without_clock(run: &Path) -> Vec<serde_json::Value> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        assert!(fields.remove("crc32").is_some());
        // Lines about health have neither of the two.
        assert_eq!(fields.remove("seconds").is_some(), fields.remove("images_per_s").is_some());
        line
    };
    text.lines().map(line).collect()
}

/// A generator's file without its checksums, as earlier versions wrote it. So its content can be changed.
pub(crate) fn without_checksums(file: &[u8]) -> Vec<u8> {
    let (_, header) = safetensors::SafeTensors::read_metadata(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap().tensors();
    let mut metadata = header.metadata().clone().unwrap();
    let description = metadata.get_mut("gan").unwrap();
    let mut fields: serde_json::Value = serde_json::from_str(description).unwrap();
    for checksum in ["sha256", "crc32"] {
        assert!(fields.as_object_mut().unwrap().remove(checksum).is_some());
    }
    *description = fields.to_string();
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

/// A run that takes seconds: a small MLP on the embedded digits. Returns the arguments that start
/// with `train`.
pub(crate) fn small(out: &str) -> Vec<String> {
    // With candle's own operations, the first measurement of the data takes longer than these runs.
    let health = if cfg!(feature = "fused") { "train.health.every=20" } else { "train.health.every=0" };
    let sets = [
        health,
        "train.health.samples=64",
        "model.generator.widths=[16]",
        "model.discriminator.widths=[16]",
        "model.latent-dim=8",
        "data.name=mnist-5k",
        "data.batch-size=16",
        "train.steps=40",
        "train.log-every=10",
        "train.sample-every=20",
        "train.sample-count=4",
        "train.checkpoint-every=10",
    ];
    let mut args: Vec<String> = ["train", "--config", "mlp-002", "--out", out].map(Into::into).to_vec();
    args.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    args
}

/// The arguments of `small`, followed by others.
pub(crate) fn small_with<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().map(String::as_str).chain(more.iter().copied()).collect()
}
