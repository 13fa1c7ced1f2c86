//! The arguments of `gan-cli completions` and `gan-cli man`.

use clap::Args as ClapArgs;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli completions bash > ~/.local/share/bash-completion/completions/gan-cli
  gan-cli completions fish > ~/.config/fish/completions/gan-cli.fish")]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: Shell,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  gan-cli man --out ~/.local/share/man/man1")]
pub(crate) struct Manual {
    /// The directory for a page of each command. Without it, the page of gan-cli is printed.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
