//! Everything that CI runs.

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

/// All but the hub, whose several hundred packages the lints check and the tests, which cannot download anyway, need not
/// have compiled to machine code: that alone would take longer than all the rest.
const FEATURES: &str = "gan-cli/embedded,gan-data/embedded";

pub(crate) fn run(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    // Advisories are looked up by CI's own job: they need the network, and a new one is no fault of a change.
    let deny = cmd!(shell, "cargo deny --locked check --hide-inclusion-graph bans licenses sources");
    let skipped: Vec<&str> = [
        run_where_installed(deny, cmd!(shell, "cargo deny --version"), NO_DENY)?,
        run_where_installed(cmd!(shell, "typos"), cmd!(shell, "typos --version"), NO_TYPOS)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    let with_kernels = format!("{FEATURES},gan-cli/fused");
    cmd!(shell, "cargo test --workspace --no-default-features --features {with_kernels} --locked").run()?;
    // The same on candle's own operations: what CUDA and Metal run on.
    cmd!(shell, "cargo test --workspace --no-default-features --features {FEATURES} --locked").run()?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --locked").run()?;
    report(&skipped);
    Ok(())
}

const NO_DENY: &str =
    "SKIPPED: licences and sources of dependencies. To check them: cargo install --locked cargo-deny";
const NO_TYPOS: &str = "SKIPPED: spelling. To check it: cargo install --locked typos-cli";

/// Runs `check`, or returns `skipped` where `version` says that its program is not there.
fn run_where_installed(
    check: Cmd<'_>,
    version: Cmd<'_>,
    skipped: &'static str,
) -> Result<Option<&'static str>> {
    if version.quiet().ignore_stdout().ignore_stderr().run().is_err() {
        report(&[skipped]);
        return Ok(Some(skipped));
    }
    check.run()?;
    Ok(None)
}

/// Said when it happens, and again at the end, where it is seen.
#[expect(clippy::print_stderr, reason = "a command line program's messages")]
fn report(skipped: &[&str]) {
    for line in skipped {
        eprintln!("{line}");
    }
}
