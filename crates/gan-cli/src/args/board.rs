//! The arguments of `gan-cli board`.

use clap::Args as ClapArgs;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli board                       the runs in runs/, at http://127.0.0.1:6060
  gan-cli board runs/mnist-5k --port 8000

The page only reads. It shows nothing outside of these directories, except the training pictures
that are nearest to an image. Whoever reaches the address can see it: there is no password.")]
pub(crate) struct Board {
    /// Directories of runs, or of directories of runs.
    #[arg(value_name = "DIR", default_value = "runs")]
    pub(crate) directories: Vec<PathBuf>,
    /// The port. 0 takes any that is free, and the address is printed.
    #[arg(long, value_name = "N", default_value_t = 6060)]
    pub(crate) port: u16,
    /// The address to listen at. At 0.0.0.0, other machines can open the page too.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// A name under which browsers may open the page, besides localhost and addresses of numbers. You can
    /// repeat this option.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
}
