//! The arguments of `gan-cli export`.

use clap::{Args as ClapArgs, ValueEnum};
use std::fmt;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli export runs/mnist-5k --out digits.onnx
  gan-cli export runs/mnist-5k --format pytorch --out digits/
  gan-cli export runs/mnist-5k --format hub --license mit --out model/
  gan-cli export runs/mnist-5k --network discriminator --out judge.onnx")]
pub(crate) struct Export {
    /// A generator.safetensors, or the directory of a run.
    #[arg(value_name = "FILE_OR_RUN")]
    pub(crate) from: PathBuf,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The format. `onnx`: one file for other programs. A generator takes latents `z` [N, latent-dim], and
    /// `class` [N] if it has classes, and returns `images` [N, C, H, W] in [-1, 1]. `pytorch`: a directory
    /// with a program of plain torch.nn, and its weights. `hub`: a directory for the Hugging Face hub with
    /// all of this, samples, and a model card that is filled from the run.
    #[arg(long, value_enum, default_value = "onnx")]
    pub(crate) format: ExportFormat,
    /// The network. The discriminator needs the directory of a run with a checkpoint. It takes `images`
    /// and, if it has classes, `class`, and returns `logits` [N].
    #[arg(long, value_enum, default_value = "generator")]
    pub(crate) network: Network,
    /// The licence of the model in the card for the hub, such as mit. [default: other]
    #[arg(long, value_name = "ID")]
    pub(crate) license: Option<String>,
    /// The output: X.onnx, which may exist if this program wrote it, or the directory.
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Onnx,
    Pytorch,
    Hub,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    Generator,
    Discriminator,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generator => "the generator",
            Self::Discriminator => "the discriminator",
        })
    }
}
