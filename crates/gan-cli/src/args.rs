//! The command line.

mod sample;

pub(crate) use sample::{Class, Sample};

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
    /// Say more: once for details, twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say less: once for warnings and errors, twice for errors alone.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
    /// CPU threads; all cores if not given.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 usage or configuration, 3 stopped by a verdict on the run's health,
130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a generator and its discriminator, or go on with a run.
    Train(Train),
    /// Draw images from a trained generator.
    Sample(Sample),
    /// Say how good a generator is: its images beside real ones, number by number.
    Evaluate(Evaluate),
    /// Say what is wrong with a run, since when, and what to try.
    Diagnose(Diagnose),
    /// Show the layers, shapes and parameters of a model, and where it was trained.
    Inspect(Inspect),
    /// Look at a data set, or download one.
    Data(Data),
    /// Time a configuration's training step on this machine; needs no data and writes no files.
    Bench(Bench),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = TRAIN_EXAMPLES)]
pub(crate) struct Train {
    /// A TOML file, or the name of a built-in configuration: mnist-5k, mnist-fast, mnist-best, mnist-conditional, fashion,
    /// stacked-mnist, r3gan, wgan-gp, hinge-sn, lsgan, dcgan-28, dcgan-64, mlp-001, mlp-001-verbatim, mlp-002, mlp-003. [default: mnist-5k; with --resume, the run's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change a key of the configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Directory of the run. [default: runs/NAME, numbered if it is taken]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Directory of the training data: the files of the configuration's data set, or images. The environment
    /// variable GAN_DATA_DIR does the same for configurations that read a directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Go on from the newest checkpoint of the run, as if it had never stopped.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) device: Device,
}

const TRAIN_EXAMPLES: &str = "\
Examples:
  gan-cli train                                         real digits, about a minute
  gan-cli train --config dcgan-28 --data-dir ~/mnist    a light DCGAN on full MNIST
  gan-cli train --config dcgan-64 --data-dir ~/faces    64x64 RGB, a folder of images
  gan-cli train --out runs/mnist-5k --resume            go on after an interruption
  gan-cli train --config mlp-002 --set train.epochs=5 --set train.generator.lr=1e-4";

#[derive(Debug, ClapArgs)]
#[command(after_help = EVALUATE_EXAMPLES)]
pub(crate) struct Evaluate {
    /// A generator.safetensors, or the directory of a run, whose data are compared with.
    #[arg(value_name = "FILE_OR_RUN", required_unless_present = "samples")]
    pub(crate) from: Option<PathBuf>,
    /// Judge these images instead: X.npy, f32, f64 or u8 [N, C, S, S] or [N, S, S], or a directory of PNG and JPEG files.
    #[arg(long, value_name = "PATH")]
    pub(crate) samples: Option<PathBuf>,
    /// Range of the floats in --samples X.npy. [default: minus-one-one]
    #[arg(long, value_enum, requires = "samples")]
    pub(crate) range: Option<PixelRange>,
    /// Directory of the real images. [default: the run's, else the 5,000 embedded digits]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What the directory holds. [default: the run's data, else mnist]
    #[arg(long, alias = "name", value_parser = data_set(|_| true), value_name = "NAME")]
    pub(crate) data: Option<Source>,
    /// Images to judge, 64 or more. [default: 10000, of stacked-mnist 26000; at most as many as there are, and as real ones are held out]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<u32>,
    /// Seed of the latents.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// No element of a latent farther from 0 than this, as in `sample`: more precision, less recall.
    #[arg(long, value_name = "LIMIT", value_parser = sample::parse_truncation, conflicts_with = "samples")]
    pub(crate) truncation: Option<f64>,
    /// A classifier of your own, from `cargo xtask train-classifier` in the program's repository.
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    /// One line of JSON in place of the table.
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

/// What floats mean.
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
    /// The directory of a run, finished or under way.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// One line of JSON in place of the text.
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
    /// A generator.safetensors, the directory of a run, a TOML file, or a built-in configuration's name.
    #[arg(value_name = "FILE_OR_CONFIG")]
    pub(crate) from: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Show what a data set holds, its classes, and whether its files are the published ones.
    #[command(after_help = "\
Examples:
  gan-cli data info
  gan-cli data info --data-dir ~/mnist
  gan-cli data info --data stacked-mnist --data-dir ~/mnist
  gan-cli data info --data folder --data-dir ~/faces")]
    Info {
        /// The data set. [default: mnist with --data-dir, else mnist-5k]
        #[arg(long, alias = "name", value_parser = data_set(|_| true), value_name = "NAME")]
        data: Option<Source>,
        /// Directory of its files.
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
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
        /// Where the four files go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
#[command(after_help = BENCH_EXAMPLES)]
pub(crate) struct Bench {
    /// A TOML file, or the name of a built-in configuration (see `gan-cli train --help`).
    #[arg(long, value_name = "FILE", default_value = "mnist-5k")]
    pub(crate) config: PathBuf,
    /// Change a key of the configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Images in a batch. [default: the configuration's]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
    /// Steps that are timed, after 3 that are not.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// Do not time the generator alone.
    #[arg(long)]
    pub(crate) no_sampling: bool,
    /// One line of JSON in place of the table.
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
    /// cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
}

/// Takes the name of a data set of which `is_meant` holds, and lists these in `--help`.
fn data_set(is_meant: fn(&Source) -> bool) -> impl TypedValueParser<Value = Source> {
    let names =
        Source::all().filter(is_meant).map(|source| PossibleValue::new(source.name).help(source.summary));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Source>())
}
