//! `cargo xtask`: the project's own commands. Kept light, so that it compiles in seconds.

mod bench;
mod gan_cli;
mod parity;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;
use xshell::Shell;

const HELP: &str = "\
cargo xtask train [OPTIONS]    train, with the options of `gan-cli train`; without any: real digits,
                               no download, about 50 seconds
cargo xtask sample|evaluate|diagnose|inspect|data ARGS
                               the other commands of gan-cli, built the same way
cargo xtask train-classifier --data-dir DIR [OPTIONS]
                               train the classifier whose features `evaluate` uses; --help says more
cargo xtask test               everything that CI runs: formatting, lints, tests, documentation
cargo xtask bench [OPTIONS] [mlp-001|dcgan-28|dcgan-64|wgan-gp|rpgan-r1-r2 ..]
                               time training of those, or of all, on 1 thread and on all, and sampling of the small ones
  --steps N                    steps that are timed, in place of as many as take some seconds
  --peer [PYTHON]              then compare with PyTorch, and with JAX if it is there, in turn; PYTHON
                               (python3 if not given) needs torch, safetensors and pillow
  --rounds N                   how often the programs take turns; 5 if not given
  --json                       one line of JSON in place of the tables
cargo xtask parity [PYTHON]    compare with PyTorch: rebuild the golden files and load a trained generator
                               into the original classes; needs a Python with torch, safetensors and scipy
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // The one program text besides gan-cli that a person reads.
            #[expect(clippy::print_stderr, reason = "a command line program's error message")]
            {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shell = Shell::new()?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let asks_for_help = ["bench", "test", "parity"].contains(&args.first().map_or("", String::as_str))
        && args.iter().any(|arg| arg == "--help" || arg == "-h");
    match args.first().map(String::as_str).filter(|_| !asks_for_help) {
        Some("train" | "sample" | "evaluate" | "diagnose" | "inspect" | "data") => gan_cli::run(root, &args),
        Some("train-classifier") => gan_cli::train_classifier(root, args.get(1..).unwrap_or_default()),
        Some("bench") => {
            bench::run(&shell, root, args.get(1..).unwrap_or_default())?;
            Ok(ExitCode::SUCCESS)
        }
        Some("test") => {
            shell.change_dir(root);
            test::run(&shell)?;
            Ok(ExitCode::SUCCESS)
        }
        Some("parity") => {
            shell.change_dir(root);
            parity::run(&shell, args.get(1).map_or("python3", String::as_str))?;
            Ok(ExitCode::SUCCESS)
        }
        None | Some("help" | "--help" | "-h") => {
            #[expect(clippy::print_stdout, reason = "the help text")]
            {
                print!("{HELP}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => bail!("no command {other}\n\n{HELP}"),
    }
}
