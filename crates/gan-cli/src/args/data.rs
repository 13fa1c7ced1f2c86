//! The arguments of `gan-cli data`.

use super::data_set;
use clap::{Args as ClapArgs, Subcommand};
use gan_data::Source;
use gan_data::folder::{Background, Crop};
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Show a data set's images and classes, and whether its files are the published ones.
    #[command(after_help = "\
Examples:
  gan-cli data info
  gan-cli data info --data-dir ~/mnist
  gan-cli data info --data stacked-mnist --data-dir ~/mnist
  gan-cli data info --data folder --data-dir ~/faces --out grid.png")]
    Info(DataInfo),
    /// Write the pictures of a folder as they are trained on into one zip archive, which is read
    /// faster. Its form is that of the data sets of the program `StyleGAN`.
    #[command(after_help = "\
Examples:
  gan-cli data prepare ~/faces --size 64 --out faces.zip
  gan-cli data prepare ~/celeba --size 64 --crop 148 --out celeba.zip
  gan-cli train --config dcgan-64 --data-dir faces.zip")]
    Prepare {
        /// A directory of pictures, or a zip archive.
        #[arg(value_name = "DIR")]
        from: PathBuf,
        #[command(flatten)]
        look: PictureLook,
        /// The archive, which must not exist.
        #[arg(long, value_name = "FILE.zip")]
        out: PathBuf,
    },
    /// Download a data set from the Hugging Face hub as gzipped IDX files.
    #[command(after_help = "Example:\n  gan-cli data download --data fashion-mnist --out ~/fashion")]
    Download {
        /// The data set.
        #[arg(
            long,
            alias = "name",
            value_parser = data_set(|source| source.is_on_hub()),
            value_name = "NAME",
            default_value = Source::MNIST.name
        )]
        data: Source,
        /// The directory for the four files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// The arguments of `gan-cli data info`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DataInfo {
    /// The data set. [default: mnist with --data-dir, else mnist-5k]
    #[arg(long, alias = "name", value_parser = data_set(|_| true), value_name = "NAME")]
    pub(crate) data: Option<Source>,
    /// The directory of its files, or a zip archive of pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Draw 64 images as the discriminator will see them into this PNG file.
    #[arg(long, value_name = "FILE.png")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: PictureLook,
}

/// How the pictures of a folder become images.
#[derive(Debug, ClapArgs)]
pub(crate) struct PictureLook {
    /// Height and width of the images of a folder.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) size: u16,
    /// The part of each picture that is kept: `centre` (the largest square in the centre), or the
    /// side of a square in the centre (key data.crop).
    #[arg(long, value_name = "CROP", default_value = "centre", value_parser = parse_crop)]
    pub(crate) crop: Crop,
    /// The colour behind transparent parts: black, white, mean, or a colour such as #ff8000 (key
    /// data.background).
    #[arg(long, value_name = "COLOUR", default_value = "black")]
    pub(crate) background: Background,
    /// Convert the pictures to gray.
    #[arg(long)]
    pub(crate) gray: bool,
}

impl PictureLook {
    /// Number of channels of an image.
    pub(crate) fn channels(&self) -> usize {
        if self.gray { 1 } else { 3 }
    }
}

fn parse_crop(text: &str) -> Result<Crop, String> {
    match text {
        "centre" | "center" => Ok(Crop::Centre),
        side => match side.parse() {
            Ok(side) if side > 0 => Ok(Crop::Side(side)),
            _ => Err("expected `centre` or a number of pixels".to_owned()),
        },
    }
}
