//! The command line.

mod animate;
#[cfg(feature = "board")]
mod board;
mod classifier;
mod data;
mod export;
mod manual;
mod parse;
mod project;
mod report;
mod sample;

pub(crate) use animate::{Along, Film, Timelapse, Walk};
#[cfg(feature = "board")]
pub(crate) use board::Board;
pub(crate) use classifier::TrainClassifier;
pub(crate) use data::{Data, DataCommand, DataInfo, PictureCut, PictureLook};
pub(crate) use export::{Export, ExportFormat, Network};
pub(crate) use manual::{Completions, Manual};
pub(crate) use project::Project;
pub(crate) use report::{Compare, Report};
pub(crate) use sample::{Class, Sample};

use crate::memory::{self, Budget};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use gan_data::Source;
use std::path::PathBuf;

/// Train generative adversarial networks on small images and sample from them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print more messages. Once (-v) adds details, twice (-vv) adds everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print fewer messages. Once (-q) leaves warnings and errors, twice (-qq) leaves errors only.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
    /// Number of CPU threads. The default is all cores.
    #[arg(long, global = true, value_name = "N", value_parser = parse::whole::<u16>(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// The most memory that training or drawing may need, in GiB. A larger need is refused before
    /// anything is read or written. [default: 4]
    #[arg(long, global = true, value_name = "GIB", value_parser = memory::parse)]
    pub(crate) memory: Option<Budget>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 usage or configuration,
            3 stopped by a verdict on the run's health, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a generator and its discriminator, or continue a run.
    Train(Train),
    /// Draw images from a trained generator.
    Sample(Sample),
    /// Animate a generator: its images change as its latents move.
    Walk(Walk),
    /// Find the latent whose image is the nearest to a picture.
    Project(Project),
    /// Animate a run: its grids in the order of the steps.
    Timelapse(Timelapse),
    /// Measure how good a generator is. It compares generated images with real images.
    Evaluate(Evaluate),
    /// Train a classifier on images with labels. Its features then serve `evaluate`, which can also
    /// say whether images show the class that was asked for.
    TrainClassifier(TrainClassifier),
    /// Write a network in the form of other programs (ONNX, PyTorch).
    Export(Export),
    /// Write a page about runs: curves, grids, evaluations, settings. It is one file without a network.
    Report(Report),
    /// Serve a page about runs: their curves and grids while they train, and an explorer of what a
    /// generator draws.
    #[cfg(feature = "board")]
    Board(Board),
    /// Serve a page about runs. This build of the program cannot do it.
    #[cfg(not(feature = "board"))]
    #[command(hide = true, disable_help_flag = true)]
    Board {
        /// They are not read.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<std::ffi::OsString>,
    },
    /// Compare runs in a table.
    Compare(Compare),
    /// Report what is wrong with a run, since which step, and what to try.
    Diagnose(Diagnose),
    /// Show the layers, shapes and parameters of a model, and how it was trained.
    Inspect(Inspect),
    /// Show what a data set contains, or download one.
    Data(Data),
    /// Measure the time of a configuration's training step on this machine. It needs no data and
    /// writes no files.
    Bench(Bench),
    /// Print the completions of a shell.
    Completions(Completions),
    /// Print the manual, or write a page for each command.
    Man(Manual),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = TRAIN_EXAMPLES)]
pub(crate) struct Train {
    /// A TOML file, or the name of a built-in configuration: mnist-5k, mnist-fast, mnist-best,
    /// mnist-conditional, fashion, stacked-mnist, r3gan, wgan-gp, hinge-sn, lsgan, dcgan-28,
    /// dcgan-64, emoji-64, mlp-001, mlp-001-verbatim, mlp-002, mlp-003. [default: mnist-5k; with
    /// --resume, the run's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one key of the configuration. You can repeat this option.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The directory of the run. [default: runs/NAME, with a number if it exists]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The directory of the training data: the files of the configuration's data set, or images.
    /// If neither this option nor the key data.dir names it, the environment variable GAN_DATA_DIR
    /// does, for configurations that read a directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Continue from the newest checkpoint of the run. The result is the same as without the
    /// interruption.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Begin with weights of earlier training: of a run or a checkpoint (both networks and the average),
    /// or of a generator's file, also one of PyTorch (key train.init.from).
    #[arg(long, value_name = "FILE_OR_RUN", conflicts_with = "resume")]
    pub(crate) init_from: Option<PathBuf>,
    /// Leave out the tensors of --init-from whose names or shapes do not fit, and list them (key
    /// train.init.partial).
    #[arg(long, requires = "init_from")]
    pub(crate) init_partial: bool,
    /// Write event files for `TensorBoard` into the run's directory (key train.tensorboard).
    #[arg(long)]
    pub(crate) tensorboard: bool,
    #[command(flatten)]
    pub(crate) device: Device,
}

const TRAIN_EXAMPLES: &str = "\
Examples:
  gan-cli train                                         real digits, about a minute
  gan-cli train --config dcgan-28 --data-dir ~/mnist    a light DCGAN on full MNIST
  gan-cli train --config dcgan-64 --data-dir ~/faces    64x64 RGB, a folder of images
  gan-cli train --out runs/mnist-5k --resume            go on after an interruption
  gan-cli train --config mlp-002 --data-dir ~/mnist --set train.epochs=20
  gan-cli train --set train.steps=1000 --set train.generator.lr=1e-3";

#[derive(Debug, ClapArgs)]
#[command(after_help = EVALUATE_EXAMPLES)]
pub(crate) struct Evaluate {
    /// A generator.safetensors, or the directory of a run. A run is compared with its own data.
    #[arg(value_name = "FILE_OR_RUN", required_unless_present = "samples")]
    pub(crate) from: Option<PathBuf>,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration. A file that contains its model must have
    /// the same one.
    #[arg(long, value_name = "FILE", requires = "from", conflicts_with = "samples")]
    pub(crate) config: Option<PathBuf>,
    /// Evaluate these images instead of a generator's: X.npy, or X.npz with one array, of [N, C, S, S]
    /// or [N, S, S]; or a directory of PNG, JPEG and WebP files. Floats have a --range, integers are
    /// from 0 to 255, and of booleans False is black. At most 2^30 values.
    #[arg(long, value_name = "PATH")]
    pub(crate) samples: Option<PathBuf>,
    /// The range of the floats in --samples X.npy. [default: minus-one-one]
    #[arg(long, value_enum, requires = "samples")]
    pub(crate) range: Option<PixelRange>,
    /// The directory of the real images. [default: the run's, else the 5,000 embedded digits]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The data set in the directory. [default: the run's data, else mnist]
    #[arg(long, alias = "name", value_parser = data_set(|_| true), value_name = "NAME")]
    pub(crate) data: Option<Source>,
    #[command(flatten)]
    pub(crate) cut: PictureCut,
    /// Number of images to evaluate, at least 64. It cannot be larger than the number of held-out
    /// real images. [default: 10000; 26000 for stacked-mnist; fewer if fewer images are available]
    #[arg(long, short = 'n', value_name = "N", value_parser = parse::count)]
    pub(crate) count: Option<u32>,
    /// The seed of the latents.
    #[arg(long, default_value_t = 0, value_parser = parse::seed, conflicts_with = "samples")]
    pub(crate) seed: u64,
    /// The largest absolute value of a latent's elements, as in `sample`. A small limit raises
    /// precision and lowers recall.
    #[arg(long, value_name = "LIMIT", value_parser = sample::parse_truncation, conflicts_with = "samples")]
    pub(crate) truncation: Option<f64>,
    /// What computes the features: `random`, a network with random weights for any images;
    /// `inception`, the network of the FID in papers; or the file of your own classifier, which
    /// `train-classifier` trains. [default: the data's classifier inside the program, else random]
    #[arg(long, value_name = "random|inception|FILE")]
    pub(crate) features: Option<PathBuf>,
    /// The weights for `--features inception`: pt_inception-2015-12-05-6726825d.pth of the Python
    /// package pytorch-fid, as it is or converted to safetensors. [default: this file in
    /// `$TORCH_HOME/hub/checkpoints` or `~/.cache/torch/hub/checkpoints`; the feature `hub` downloads it]
    #[arg(long, value_name = "FILE", requires = "features")]
    pub(crate) weights: Option<PathBuf>,
    /// Print one line of JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: Device,
}

const EVALUATE_EXAMPLES: &str = "\
Examples:
  gan-cli evaluate runs/mnist-5k                           beside the embedded digits
  gan-cli evaluate runs/dcgan-28 --data-dir ~/mnist        10,000 images, all of MNIST
  gan-cli evaluate runs/stacked                            of stacked-mnist: modes, too
  gan-cli evaluate --samples fakes.npy --range zero-one    another program's images
  gan-cli evaluate --samples fakes/ --json                 PNG files; one line of JSON";

/// The range of floating-point pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PixelRange {
    /// Black is -1, white is 1.
    MinusOneOne,
    /// Black is 0, white is 1.
    ZeroOne,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli diagnose runs/mlp-001
  gan-cli diagnose runs/mlp-001 --json")]
pub(crate) struct Diagnose {
    /// The directory of a run. The run may be finished or still training.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Print one line of JSON instead of the text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  gan-cli inspect runs/mnist-5k
  gan-cli inspect runs/mnist-5k/generator.safetensors
  gan-cli inspect dcgan-64")]
pub(crate) struct Inspect {
    /// A generator.safetensors, the directory of a run, a TOML file, or the name of a built-in
    /// configuration.
    #[arg(value_name = "FILE_OR_CONFIG")]
    pub(crate) from: PathBuf,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration. A file that contains its model must have
    /// the same one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = BENCH_EXAMPLES)]
pub(crate) struct Bench {
    /// A TOML file, or the name of a built-in configuration (see `gan-cli train --help`).
    #[arg(long, value_name = "FILE", default_value = "mnist-5k")]
    pub(crate) config: PathBuf,
    /// Change one key of the configuration. You can repeat this option.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Number of images in a batch. [default: the configuration's]
    #[arg(long, value_name = "N", value_parser = parse::whole::<usize>(1..=u32::MAX.into()))]
    pub(crate) batch: Option<usize>,
    /// Number of timed steps. Three untimed steps come first.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = parse::count)]
    pub(crate) steps: u32,
    /// Do not measure how fast the generator draws images.
    #[arg(long)]
    pub(crate) no_sampling: bool,
    /// Print one line of JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: Device,
}

const BENCH_EXAMPLES: &str = "\
Examples:
  gan-cli bench                                         the default of `gan-cli train`
  gan-cli bench --config dcgan-28 --threads 1           one core
  gan-cli bench --config mlp-001 --batch 256 --json     a line for a script
  gan-cli bench --config dcgan-64 --steps 5 --set model.channels=1";

#[derive(Debug, ClapArgs)]
pub(crate) struct Device {
    /// The device that computes: cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", env = "GAN_DEVICE", default_value = "cpu")]
    pub(crate) device: String,
}

/// Parses the name of a data set for which `is_meant` is true. `--help` lists these names.
fn data_set(is_meant: fn(&Source) -> bool) -> impl TypedValueParser<Value = Source> {
    let names =
        Source::all().filter(is_meant).map(|source| PossibleValue::new(source.name).help(source.summary));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Source>())
}
