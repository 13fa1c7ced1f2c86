//! The `gan-cli` program as a library. It combines the other crates, and it is the only one that
//! prints. [`main`] is all that the program calls. The fuzz targets call parts of it.

mod advice;
mod args;
mod aside;
#[cfg(feature = "board")]
mod board;
mod commands;
mod config;
mod device;
mod draw;
mod exit;
mod export;
mod film;
#[cfg(fuzzing)]
pub mod fuzzing;
mod journal;
mod judge;
mod loading;
mod logging;
mod memory;
mod mixing;
mod npy;
mod origin;
mod ranks;
mod records;
mod report;
mod run;
mod run_dir;
mod signals;
mod terminal;
mod threads;

use std::num::NonZero;
use std::process::ExitCode;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    signals::leave_nothing_unfinished();
    let args = args::Args::of_process();
    let threads = threads::available(args.threads.and_then(|threads| NonZero::new(threads.into())));
    // SAFETY: the threads that were started before this point have ended.
    #[expect(unsafe_code, reason = "candle reads its thread counts from the environment and nowhere else")]
    unsafe {
        gan_ops::threads::settle(threads.count);
    }
    signals::survive_size_limits();
    let ranks = ranks::Ranks::join();
    // One rank speaks for all.
    let is_follower = ranks.as_ref().is_ok_and(|ranks| ranks.group.rank() > 0);
    logging::start(args.verbose, if is_follower { 2 } else { args.quiet });
    if threads.refused {
        tracing::warn!("the system refuses to start threads: working on one (--threads N asks for fewer)");
    }
    let budget = args.memory.unwrap_or_default();
    let ranks = match ranks {
        Ok(ranks) => ranks,
        Err(error) => return exit::code(Err(error)),
    };
    if !matches!(args.command, args::Command::Train(_))
        && let Err(error) = ranks.expect_one()
    {
        return exit::code(error);
    }
    let result = match args.command {
        args::Command::Train(args) => commands::train::run(&args, budget, &ranks),
        args::Command::Sample(args) => commands::sample::run(&args, budget),
        args::Command::Walk(args) => commands::walk::run(&args, budget),
        args::Command::Project(args) => commands::project::run(&args, budget),
        args::Command::Timelapse(args) => commands::timelapse::run(&args),
        args::Command::Export(args) => commands::export::run(&args),
        args::Command::Report(args) => commands::report::run(&args),
        #[cfg(feature = "board")]
        args::Command::Board(args) => commands::board::run(&args, budget),
        #[cfg(not(feature = "board"))]
        args::Command::Board { .. } => Err(exit::usage(
            "this program was built without its board: build it with --features board,embedded,fused",
        )),
        args::Command::Compare(args) => commands::report::compare(&args),
        args::Command::TrainClassifier(args) => commands::train_classifier::run(&args),
        args::Command::Evaluate(args) => commands::evaluate::run(&args),
        args::Command::Diagnose(args) => commands::diagnose::run(&args),
        args::Command::Inspect(args) => commands::inspect::run(&args),
        args::Command::Data(args) => commands::data::run(&args),
        args::Command::Bench(args) => commands::bench::run(&args, budget),
        args::Command::Completions(args) => commands::manual::completions(&args),
        args::Command::Man(args) => commands::manual::man(&args),
    };
    #[cfg(feature = "mpi")]
    if is_follower && result.is_err() {
        let _ = exit::code(result);
        ranks.abort();
        return ExitCode::FAILURE;
    }
    exit::code(result)
}
