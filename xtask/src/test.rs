//! Everything that CI runs.

use anyhow::Result;
use xshell::{Shell, cmd};

pub(crate) fn run(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    cmd!(shell, "cargo test --workspace --locked").run()?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --locked").run()?;
    Ok(())
}
