//! The arguments of `gan-cli sample`.

use super::Device;
use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = SAMPLE_EXAMPLES)]
pub(crate) struct Sample {
    /// A generator.safetensors, or the directory of a run.
    #[arg(value_name = "FILE_OR_RUN")]
    pub(crate) from: PathBuf,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration. A file that contains its model must have
    /// the same one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Number of images. [default: 64, or the number of --latents]
    #[arg(long, short = 'n', value_name = "N", value_parser = super::parse::count)]
    pub(crate) count: Option<u32>,
    /// The seed of the latents.
    #[arg(long, default_value_t = 0, value_parser = super::parse::seed, conflicts_with = "latents")]
    pub(crate) seed: u64,
    /// The output. X.png is one grid. X.npy and X.safetensors contain f32 [N, C, H, W] in [-1, 1].
    /// DIR/ gets one PNG per image. A grid has at most 1 GiB of pixels, a file 64 GiB of values, a
    /// directory 1,000,000 images. [default: samples.png, with a number if it exists]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Delete the numbered PNG files (0.png, 01.png, ...) that DIR/ holds, or overwrite an X.npy or
    /// X.safetensors that this command did not write. Without this option, both are refused.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Number of columns in the grid. [default: as square as possible]
    #[arg(long, value_name = "C", value_parser = super::parse::count)]
    pub(crate) columns: Option<u32>,
    /// Enlarge each pixel of the grid to a square of N by N, so that small images can be seen. [default: 1]
    #[arg(long, value_name = "N", value_parser = super::parse::whole::<u8>(1..=32))]
    pub(crate) scale: Option<u8>,
    /// Draw only images of this class: its name, or its number from 0 on. If a class is called like
    /// the number of another, name:X and number:X say which is meant. `all` draws one row of the
    /// grid per class, with --count images in each row [default: 10]. name:all is a class that is
    /// called so. With --latents, each class gets every latent.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// The largest absolute value of a latent's elements. A small limit gives more typical and less
    /// varied images.
    #[arg(long, value_name = "LIMIT", value_parser = parse_truncation, conflicts_with = "latents")]
    pub(crate) truncation: Option<f64>,
    /// A .npy file of latents, floats [N, latent-dim] of any size and order, or a .npz file with one
    /// array. They replace the latents of the seed. A generator with classes needs --class too, or
    /// rows that end with exactly one 1 for the class and zeros for the others.
    #[arg(long, value_name = "FILE")]
    pub(crate) latents: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: Device,
}

/// The value of `--class`.
#[derive(Debug, Clone)]
pub(crate) enum Class {
    /// A name, or a number from 0 on.
    One(String),
    All,
}

impl From<String> for Class {
    fn from(text: String) -> Self {
        if text == "all" { Self::All } else { Self::One(text) }
    }
}

pub(super) fn parse_truncation(text: &str) -> Result<f64, String> {
    // With a smaller limit, nearly every value would have to be drawn again.
    match text.parse() {
        Ok(limit) if (0.01..=100.).contains(&limit) => Ok(limit),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}

const SAMPLE_EXAMPLES: &str = "\
Examples:
  gan-cli sample runs/mnist-5k --count 64 --out digits.png
  gan-cli sample runs/mnist-5k --count 10000 --seed 1 --out digits.npy
  gan-cli sample generator.safetensors --latents z.npy --columns 8 --out grid.png
  gan-cli sample runs/mnist-conditional --class all     a row of each digit
  gan-cli sample runs/fashion --class Sandal
  gan-cli sample runs/mnist-5k --count 100 --out digits/";
