//! The `gan-cli` program. The library of this crate holds all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    gan_cli::main()
}
