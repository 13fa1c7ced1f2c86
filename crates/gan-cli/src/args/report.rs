//! The arguments of `gan-cli report` and `gan-cli compare`.

use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli report runs/mnist-5k --out report.html
  gan-cli report runs/mlp-001 runs/mlp-002 --out both.html")]
pub(crate) struct Report {
    /// The directories of runs. They may be finished or still training.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The page, X.html. It needs no network and no other file. [default: report.html, with a number if
    /// it exists]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  gan-cli compare runs/mlp-001 runs/mlp-002")]
pub(crate) struct Compare {
    /// The directories of runs. They may be finished or still training.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
}
