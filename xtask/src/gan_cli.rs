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
    if !is_built() {
        #[expect(clippy::print_stderr, reason = "people wait for this")]
        {
            eprintln!("compiling gan-cli: the first time, this takes some minutes");
        }
    }
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

/// Whether gan-cli was built before. It lies beside the directory of this program.
fn is_built() -> bool {
    let name = format!("gan-cli{}", std::env::consts::EXE_SUFFIX);
    std::env::current_exe().is_ok_and(|xtask| {
        xtask.ancestors().nth(2).is_some_and(|at| at.join("release").join(&name).is_file())
    })
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
