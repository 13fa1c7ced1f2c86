//! Everything that CI runs.

use anyhow::Result;
use xshell::{Shell, cmd};

/// The hub's several hundred packages are checked by the lints and not compiled to machine code again for the tests,
/// which cannot download anyway: that alone would take longer than all the rest.
const WITHOUT_HUB: [&str; 4] = ["--package", "gan-cli", "--no-default-features", "--features=embedded"];

pub(crate) fn run(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    cmd!(shell, "cargo test --workspace --exclude gan-cli --locked").run()?;
    cmd!(shell, "cargo test {WITHOUT_HUB...} --locked").run()?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --locked").run()?;
    Ok(())
}
