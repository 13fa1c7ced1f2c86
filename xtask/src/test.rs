//! All checks that CI runs.

use crate::fuzz;
use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

/// All features but the hub. The lints check the hub's code with its several hundred packages.
/// To compile it to machine code would take longer than all other checks together. Its only tests
/// that need no network are those of a download from a local server, `cargo test -p gan-cli --lib
/// download`.
const FEATURES: &str = "gan-cli/board,gan-cli/embedded,gan-data/embedded";

pub(crate) fn run(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    // CI has its own job for advisories: they need the network, and a new advisory is not caused
    // by a change here.
    let deny = cmd!(shell, "cargo deny --locked check --hide-inclusion-graph bans licenses sources");
    let mut skipped: Vec<&str> = [
        run_where_installed(deny, cmd!(shell, "cargo deny --version"), NO_DENY)?,
        run_where_installed(cmd!(shell, "typos"), cmd!(shell, "typos --version"), NO_TYPOS)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    // The build of the README's first command.
    let features = crate::gan_cli::FEATURES;
    cmd!(
        shell,
        "cargo clippy --package gan-cli --no-default-features --features {features} --locked -- -D warnings"
    )
    .run()?;
    let mut features = FEATURES.to_owned();
    if has_mpi(shell) {
        features += ",gan-cli/mpi";
    } else {
        skipped.push(NO_MPI);
    }
    let with_kernels = format!("{features},gan-cli/fused");
    cmd!(shell, "cargo test --workspace --no-default-features --features {with_kernels} --locked").run()?;
    // The same tests on candle's own operations, which CUDA and Metal use.
    cmd!(shell, "cargo test --workspace --no-default-features --features {features} --locked").run()?;
    if !has(shell, "chromedriver") {
        skipped.push(NO_BROWSER);
    }
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --locked").run()?;
    if fuzz::is_installed(shell) {
        // About a minute in all.
        fuzz::run(shell, &[], 60 / fuzz::TARGETS.len() as u64)?;
    } else {
        skipped.push(NO_FUZZ);
    }
    report(&skipped);
    Ok(())
}

/// Whether a program is installed.
fn has(shell: &Shell, program: &str) -> bool {
    cmd!(shell, "{program} --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Whether MPI is installed with its headers, and libclang, which reads them.
fn has_mpi(shell: &Shell) -> bool {
    let libraries = cmd!(shell, "ldconfig -p").quiet().ignore_stderr().read().unwrap_or_default();
    let is_libclang = |line: &str| line.contains("libclang") && !line.contains("libclang-cpp");
    let has_libclang = libraries.lines().any(is_libclang) || std::env::var_os("LIBCLANG_PATH").is_some();
    has(shell, "mpirun") && has(shell, "mpicc") && has_libclang
}

const NO_DENY: &str =
    "SKIPPED: licences and sources of dependencies. To check them: cargo install --locked cargo-deny";
const NO_TYPOS: &str = "SKIPPED: spelling. To check it: cargo install --locked typos-cli";

const NO_BROWSER: &str =
    "SKIPPED: the pages of `gan-cli board` in a browser. To test them: install Chromium and chromedriver";

const NO_MPI: &str =
    "SKIPPED: training on several ranks. To test it: install Open MPI with its headers, and libclang";

const NO_FUZZ: &str = "SKIPPED: a minute of fuzzing. To do it: cargo install --locked cargo-fuzz";

/// Runs `check`. If `version` says that the program of the check is not installed, returns
/// `skipped` instead.
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

/// Prints the skipped checks. It is called when a check is skipped, and again at the end, where
/// the message is seen.
#[expect(clippy::print_stderr, reason = "a command line program's messages")]
fn report(skipped: &[&str]) {
    for line in skipped {
        eprintln!("{line}");
    }
}
