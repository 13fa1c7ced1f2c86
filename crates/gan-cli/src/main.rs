//! The `gan-cli` program: composes the libraries, and is the only crate that prints.

mod args;
mod commands;
mod config;
mod device;
mod exit;
mod logging;
mod observers;
mod run_dir;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    gan_ops::threads::settle(args.threads);
    logging::start(args.verbose, args.quiet);
    let result = match args.command {
        args::Command::Train(args) => commands::train::run(&args),
        args::Command::Sample(args) => commands::sample::run(&args),
        args::Command::Inspect(args) => commands::inspect::run(&args),
        args::Command::Data(args) => commands::data::run(&args),
    };
    exit::code(result)
}
