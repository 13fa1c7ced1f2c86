//! Runs the programs that are timed. Each is a process, so none inherits the memory or threads of
//! another.

use super::{BATCH, Workload};
use crate::gan_cli::FEATURES;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The release build of gan-cli.
#[derive(Debug)]
pub(super) struct GanCli(PathBuf);

/// Builds gan-cli as `cargo xtask train` does, and finds the file that cargo built.
pub(super) fn build(root: &str) -> Result<GanCli> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "gan-cli", "--no-default-features"])
        .args(["--features", FEATURES, "--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(Path::new(root).join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("gan-cli does not build");
    }
    let executable = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "gan-cli")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.map(GanCli).context("cargo did not say where it put gan-cli")
}

impl GanCli {
    /// A command for gan-cli. It prints nothing unless it fails, and `GAN_DATA_DIR` does not
    /// influence it.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("--quiet").env_remove("GAN_DATA_DIR");
        command
    }

    /// Returns the report of gan-cli on a workload.
    pub(super) fn bench(&self, workload: &Workload, steps: Option<u32>, more: &[&str]) -> Result<Value> {
        let steps = steps.unwrap_or(workload.steps).to_string();
        let mut command = self.command();
        command.args(["bench", "--config", workload.config, "--batch", BATCH, "--steps", &steps, "--json"]);
        let sets = workload.objective.map_or(&[][..], |(_, sets)| sets);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let mut report = report(command.args(more))?;
        report["config"] = workload.name.into();
        Ok(report)
    }
}

/// Runs a program that prints one line of JSON.
pub(super) fn report(command: &mut Command) -> Result<Value> {
    let text = output(command)?;
    let line = text.lines().last().unwrap_or_default();
    // serde_json sorts keys, but the phases are more useful in the order of the step.
    let mut report: Value =
        serde_json::from_str(line).with_context(|| format!("{command:?}: no report in {line:?}"))?;
    if let Some(phases) = report["phases"].as_object() {
        let mut names: Vec<String> = phases.keys().cloned().collect();
        names.sort_by_key(|name| line.find(&format!("\"{name}\":")));
        report["phase_order"] = names.into();
    }
    Ok(report)
}

/// Seconds from the start of a program to its end.
pub(super) fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Runs a program to its end. Returns its standard output, or the last line of its error output
/// as the error.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
        bail!("{name} failed ({}): {}", output.status, last.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
