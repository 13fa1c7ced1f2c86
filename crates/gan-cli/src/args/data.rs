//! The arguments of `gan-cli data`.

use super::data_set;
use crate::exit::usage;
use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use gan_data::folder::{Background, Crop, Transform};
use gan_data::{ImageShape, Source};
use gan_models::Provenance;
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
    /// Draw 64 images as the discriminator will see them into this PNG file. It is overwritten if it
    /// exists.
    #[arg(long, value_name = "FILE.png")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: PictureLook,
}

/// How the pictures of a folder become images.
#[derive(Debug, ClapArgs)]
pub(crate) struct PictureLook {
    /// Height and width of the images of a folder. [default: 64]
    #[arg(long, value_name = "N", value_parser = super::parse::whole::<u16>(1..=4096))]
    size: Option<u16>,
    #[command(flatten)]
    cut: PictureCut,
    /// Convert the pictures to gray.
    #[arg(long)]
    gray: bool,
}

/// What is done to the pictures of a folder before the resizing.
#[derive(Debug, ClapArgs)]
pub(crate) struct PictureCut {
    /// The part of each picture that is kept (key data.crop): `centre` (the largest square in the
    /// centre), the side of a square in the centre, or LEFT,TOP,SIDE of another square. [default: centre]
    #[arg(long, value_name = "CROP")]
    pub(crate) crop: Option<Crop>,
    /// The colour behind transparent parts: black, white, mean, or a colour such as #ff8000 (key
    /// data.background). [default: black]
    #[arg(long, value_name = "COLOUR")]
    pub(crate) background: Option<Background>,
}

impl PictureCut {
    /// The chosen crop and background, or else those in the settings of a generator's file.
    pub(crate) fn or_of(&self, file: Option<&Provenance>) -> (Option<Crop>, Option<Background>) {
        let setting = |key: &str| Some(file?.settings.get(key)?.trim_matches('"'));
        let crop = || setting("data.crop").and_then(|crop| crop.parse().ok());
        let background = || setting("data.background").and_then(|background| background.parse().ok());
        (self.crop.or_else(crop), self.background.or_else(background))
    }

    /// Refuses options that would have no effect on a data set whose images have one shape.
    pub(crate) fn check(&self, source: Source) -> Result<()> {
        refuse(source, &[("--crop", self.crop.is_some()), ("--background", self.background.is_some())])
    }
}

/// Refuses the first option that is given, if the images of the data set have one shape.
fn refuse(source: Source, options: &[(&str, bool)]) -> Result<()> {
    let Some(ImageShape { channels, side }) = source.shape else { return Ok(()) };
    let Some((option, _)) = options.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
    let colours = if channels == 1 { "gray" } else { "RGB" };
    Err(usage(format!("{option}: {source} has images of {side}x{side} {colours}; this is for folders")))
}

impl PictureLook {
    /// Refuses options that would have no effect on a data set whose images have one shape.
    pub(crate) fn check(&self, source: Source) -> Result<()> {
        refuse(source, &[("--size", self.size.is_some()), ("--gray", self.gray)])?;
        self.cut.check(source)
    }

    /// Whether the size was chosen.
    pub(crate) fn has_size(&self) -> bool {
        self.size.is_some()
    }

    /// Height and width of an image.
    pub(crate) fn size(&self) -> usize {
        self.size.unwrap_or(64).into()
    }

    /// What happens to a picture before the resizing.
    pub(crate) fn transform(&self) -> Transform {
        let PictureCut { crop, background } = self.cut;
        Transform { crop: crop.unwrap_or_default(), background }
    }

    /// Number of channels of an image.
    pub(crate) fn channels(&self) -> usize {
        if self.gray { 1 } else { 3 }
    }
}
