//! The arguments of `gan-cli train-classifier`.

use super::{PictureLook, data_set};
use clap::Args as ClapArgs;
use gan_data::Source;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli train-classifier --data folder --data-dir ~/animals --out animals.safetensors
  gan-cli train-classifier --data fashion-mnist --data-dir ~/fashion --out clothes.safetensors
  gan-cli evaluate runs/animals --features animals.safetensors")]
pub(crate) struct TrainClassifier {
    /// The data set, which has labels.
    #[arg(
        long,
        alias = "name",
        value_parser = data_set(|source| source.embedded_part_of().is_none() && source.composed().is_none()),
        value_name = "NAME",
        default_value = Source::MNIST.name
    )]
    pub(crate) data: Source,
    /// The directory of its files, or a zip archive of pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The file for the classifier, which must not exist.
    #[arg(long, value_name = "FILE", default_value = "classifier.safetensors")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) look: PictureLook,
    /// Share of the images of a folder that are kept from training, to test with (key
    /// data.hold-out). They are the same images as those that a run with this share keeps. [default:
    /// 0.1, and none if the data have a test split]
    #[arg(long, value_name = "SHARE")]
    pub(crate) hold_out: Option<f64>,
    /// Mirror half of the images (left and right).
    #[arg(long)]
    pub(crate) flip: bool,
    /// Passes over the training images. [default: 40, and more for fewer than 3,200 images]
    #[arg(long, value_name = "N", value_parser = super::parse::count)]
    pub(crate) epochs: Option<u32>,
    /// The seed of the weights, the order and the augmentation.
    #[arg(long, default_value_t = 0, value_parser = super::parse::seed)]
    pub(crate) seed: u64,
}
