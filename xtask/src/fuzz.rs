//! Fuzzing: libFuzzer feeds mutated files to everything that reads a file.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use xshell::{Shell, cmd};

/// The targets of `fuzz/targets/`. A test compares them with the files.
pub(crate) const TARGETS: [&str; 11] = [
    "idx",
    "gz",
    "pictures",
    "archive",
    "array",
    "generator",
    "pth",
    "classifier",
    "checkpoint",
    "config",
    "journal",
];

/// What a target may take beside the limit that it sets itself.
const LIMITS: [&str; 2] = ["-rss_limit_mb=2048", "-timeout=20"];

/// Whether cargo-fuzz is installed.
pub(crate) fn is_installed(shell: &Shell) -> bool {
    cmd!(shell, "cargo fuzz --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Runs each target for so many seconds, and prints how often it was executed.
pub(crate) fn run(shell: &Shell, targets: &[&str], seconds: u64) -> Result<()> {
    if !is_installed(shell) {
        bail!("fuzz: cargo-fuzz is missing: cargo install --locked cargo-fuzz");
    }
    if let Some(unknown) = targets.iter().find(|target| !TARGETS.contains(target)) {
        bail!("fuzz: no target {unknown}: expected {}", TARGETS.join(", "));
    }
    let targets = if targets.is_empty() { &TARGETS } else { targets };
    // Without a sanitizer, the stable compiler is enough.
    cmd!(shell, "cargo fuzz build -s none").run()?;
    let counts: Vec<u64> =
        targets.iter().map(|target| fuzz(shell, target, seconds)).collect::<Result<_>>()?;
    for (target, executions) in targets.iter().zip(counts) {
        #[expect(clippy::print_stdout, reason = "the result of the command")]
        {
            println!("{target:12} {executions:>12} executions");
        }
    }
    Ok(())
}

/// Runs one target. Returns the number of executions.
fn fuzz(shell: &Shell, target: &str, seconds: u64) -> Result<u64> {
    let corpus = shell.create_dir(format!("fuzz/corpus/{target}"))?;
    let mut fuzzer = Command::new("cargo")
        .current_dir(shell.current_dir())
        .args(["fuzz", "run", "-s", "none", target])
        .arg(corpus)
        .arg(format!("fuzz/seeds/{target}"))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .args(LIMITS)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut executions = None;
    for line in BufReader::new(fuzzer.stderr.take().context("no output")?).lines() {
        let line = line?;
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = Some(number.trim().parse()?);
        }
        #[expect(clippy::print_stderr, reason = "the fuzzer's own output")]
        {
            eprintln!("{line}");
        }
    }
    if !fuzzer.wait()?.success() {
        bail!("fuzz: {target} found a failure; its input is under fuzz/artifacts/{target}");
    }
    executions.with_context(|| format!("{target}: the fuzzer did not say how often it ran"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_has_seeds_and_is_known() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");
        let names = |directory: &str| {
            let entries = std::fs::read_dir(format!("{root}/{directory}")).unwrap();
            let name = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap().path())).collect();
            names.sort();
            names
        };
        let mut known = super::TARGETS.map(str::to_owned).to_vec();
        known.sort();
        assert_eq!(names("targets"), known);
        assert_eq!(names("seeds"), known);
    }
}
