//! The arguments of `gan-cli project`.

use super::{Class, Device, PictureCut};
use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli project runs/mnist-5k digit.png --class 5 --out five.npy
  gan-cli sample runs/mnist-5k --latents five.npy")]
pub(crate) struct Project {
    /// A generator.safetensors, or the directory of a run.
    #[arg(value_name = "FILE_OR_RUN")]
    pub(crate) from: PathBuf,
    /// The picture: PNG, JPEG or WebP of any size. Its square is reduced to the size of the images.
    #[arg(value_name = "PICTURE")]
    pub(crate) picture: PathBuf,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The latent, X.npy, which `sample --latents` takes. X.png shows the picture beside the image of the
    /// latent. [default: projected.npy, with a number if it exists]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the two files.
    #[arg(long)]
    pub(crate) replace: bool,
    /// The class of the image, by its name or its number (see `sample`). [default: the class whose images
    /// are the nearest]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// Number of steps of the search.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = super::parse::whole::<u32>(1..=100_000))]
    pub(crate) steps: u32,
    /// The seed of the latents at which the search begins.
    #[arg(long, default_value_t = 0, value_parser = super::parse::seed)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) cut: PictureCut,
    #[command(flatten)]
    pub(crate) device: Device,
}
