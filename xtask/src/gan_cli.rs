//! Runs the release build of gan-cli in the caller's directory.

use anyhow::Result;
use std::path::Path;
use std::process::{Command, ExitCode};

/// All features but the board and the hub, because their dependencies would double the time of the first
/// build.
pub(crate) const FEATURES: &str = "embedded,fused";

pub(crate) fn run(root: &str, args: &[String]) -> Result<ExitCode> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    // The first build needs neither a server nor downloads.
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let more = match words[..] {
        ["board", ..] => "board,",
        ["data", "download", ..] => "hub,",
        _ => "",
    };
    let features = format!("{more}{FEATURES}");
    let mut command = Command::new(cargo);
    command
        .args(["run", "--release", "--package", "gan-cli", "--no-default-features", "--features", &features])
        .arg("--manifest-path")
        .arg(Path::new(root).join("Cargo.toml"))
        .arg("--")
        .args(args)
        .env("GAN_PROGRAM", "cargo xtask");
    replace_by(&mut command)
}

/// Replaces this process by cargo, which then replaces itself by gan-cli. So signals reach
/// gan-cli, which saves the run.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(anyhow::Error::new(command.exec()).context("cannot run cargo"))
}

#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    let status = command.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
