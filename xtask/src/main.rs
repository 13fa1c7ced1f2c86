//! `cargo xtask`: the project's own commands. It has few dependencies, so that it compiles in
//! seconds.

mod bench;
mod fuzz;
mod gan_cli;
mod gpu_check;
mod parity;
mod soak;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;
use xshell::Shell;

const HELP: &str = "\
cargo xtask train [OPTIONS]    train with the options of `gan-cli train`; without options, it trains on
                               real digits in about 50 seconds and needs no download
cargo xtask board [DIR..] [--port N]
                               serve a page about the runs in runs/: curves, grids, and an explorer
cargo xtask sample|walk|project|timelapse|report|compare|export|evaluate|diagnose|inspect|data|train-classifier ARGS
                               the other commands of gan-cli, in the same build
cargo xtask test               run all checks of CI: formatting, lints, tests, documentation
cargo xtask bench [OPTIONS] [mlp-001|dcgan-28|dcgan-64|wgan-gp|rpgan-r1-r2 ..]
                               measure the speed of training for these workloads, or for all, on 1
                               thread and on all threads, and of sampling for the small ones
  --steps N                    time N steps; without it, each workload takes some seconds
  --peer [PYTHON]              then run gan-cli and PyTorch in turn and compare them, and JAX if it is
                               installed; PYTHON (default: python3) needs torch, safetensors and pillow
  --rounds N                   number of turns of each program (default: 5)
  --json                       print one line of JSON instead of tables
cargo xtask parity [PYTHON]    compare with PyTorch: compute the golden files again, and load trained
                               generators into the original classes; PYTHON (default: python3) needs
                               torch, safetensors, numpy, scipy, pillow and pytorch-fid
cargo xtask soak [--kills N] [--seed S]
                               interrupt runs N times (default: 300) with SIGKILL, SIGTERM, SIGHUP and
                               SIGSTOP at random moments, resume them, and compare them with a run
                               without interruption
cargo xtask fuzz [--seconds N] [idx|gz|pictures|archive|array|generator|pth|classifier|checkpoint|config|journal ..]
                               feed damaged files to everything that reads a file, N seconds (default:
                               60) for each of these targets, or for all; it needs cargo-fuzz
cargo xtask gpu-check [PYTHON] compile and link gan-cli for NVIDIA cards with the CUDA toolkit of PyPI (2.5 GB),
                               and start it; no card is needed; PYTHON (default: python3) needs venv,
                               and the feature nccl needs Open MPI or MPICH, and libclang
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // People read this text, as they read the texts of gan-cli.
            #[expect(clippy::print_stderr, reason = "a command line program's error message")]
            {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The lines about one command.
fn help_of(command: &str) -> String {
    let begins = |line: &&str| line.starts_with("cargo xtask ");
    let of = format!("cargo xtask {command}");
    let mut lines = HELP.split_inclusive('\n').skip_while(|line| !line.starts_with(&of));
    let first = lines.next().into_iter();
    first.chain(lines.take_while(|line| !begins(line))).collect()
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shell = Shell::new()?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let asks_for_help = ["bench", "test", "parity", "soak", "fuzz", "gpu-check"]
        .contains(&args.first().map_or("", String::as_str))
        && args.iter().any(|arg| arg == "--help" || arg == "-h");
    if asks_for_help {
        #[expect(clippy::print_stdout, reason = "the help text")]
        {
            print!("{}", help_of(&args[0]));
        }
        return Ok(ExitCode::SUCCESS);
    }
    match args.first().map(String::as_str) {
        Some(
            "board" | "train" | "sample" | "walk" | "project" | "timelapse" | "report" | "compare" | "export"
            | "evaluate" | "diagnose" | "inspect" | "data" | "train-classifier",
        ) => gan_cli::run(root, &args),
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
        Some("gpu-check") => {
            shell.change_dir(root);
            gpu_check::run(&shell, args.get(1).map_or("python3", String::as_str))?;
            Ok(ExitCode::SUCCESS)
        }
        Some("soak") => {
            shell.change_dir(root);
            let (mut kills, mut seed) = (300, 0);
            for option in args[1..].chunks(2) {
                match option {
                    [name, value] if name == "--kills" => kills = number(name, value)?,
                    [name, value] if name == "--seed" => seed = number(name, value)?,
                    other => bail!("soak: expected --kills N or --seed S, found {}", other.join(" ")),
                }
            }
            soak::run(&shell, kills, seed)?;
            Ok(ExitCode::SUCCESS)
        }
        Some("fuzz") => {
            shell.change_dir(root);
            let (mut seconds, mut targets) = (60, vec![]);
            let mut rest = args[1..].iter();
            while let Some(arg) = rest.next() {
                match arg.as_str() {
                    "--seconds" => seconds = number(arg, rest.next().map_or("nothing", String::as_str))?,
                    target => targets.push(target),
                }
            }
            fuzz::run(&shell, &targets, seconds)?;
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

fn number(name: &str, value: &str) -> Result<u64> {
    value.parse().map_err(|_| anyhow::anyhow!("{name}: expected a whole number, found {value}"))
}
