//! Everything that CI runs.

use anyhow::Result;
use xshell::{Shell, cmd};

/// All but the hub, whose several hundred packages the lints check and the tests, which cannot download anyway, need not
/// have compiled to machine code: that alone would take longer than all the rest.
const FEATURES: &str = "gan-cli/embedded,gan-data/embedded";

pub(crate) fn run(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    let with_kernels = format!("{FEATURES},gan-cli/fused");
    cmd!(shell, "cargo test --workspace --no-default-features --features {with_kernels} --locked").run()?;
    // The same on candle's own operations: what CUDA and Metal run on.
    cmd!(shell, "cargo test --workspace --no-default-features --features {FEATURES} --locked").run()?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --locked").run()?;
    Ok(())
}
