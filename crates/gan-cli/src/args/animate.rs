//! The arguments of `gan-cli walk` and `gan-cli timelapse`.

use super::sample::parse_truncation;
use super::{Class, Device};
use clap::Args as ClapArgs;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, ClapArgs)]
#[command(after_help = WALK_EXAMPLES)]
pub(crate) struct Walk {
    /// A generator.safetensors, or the directory of a run.
    #[arg(value_name = "FILE_OR_RUN")]
    pub(crate) from: PathBuf,
    /// The configuration of a generator that does not contain it, such as a PyTorch state dict: a
    /// TOML file, or the name of a built-in configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What changes from frame to frame. `latents`: each image goes through random latents. `classes`:
    /// its latent stays, and its class changes. A number from 1 on: its latent moves forth and back along
    /// this direction. The images change most along direction 1.
    #[arg(long, value_name = "latents|classes|N", default_value = "latents")]
    pub(crate) along: Along,
    /// Number of random latents that each image goes through with --along latents. [default: 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) stops: Option<u16>,
    /// How far a latent moves along a direction, to each side. [default: 3]
    #[arg(long, value_name = "LENGTH", value_parser = parse_strength)]
    pub(crate) strength: Option<f64>,
    /// Number of images in a frame. [default: up to 64, so that the file stays below 10 MB]
    #[arg(long, short = 'n', value_name = "N", value_parser = super::parse::count)]
    pub(crate) count: Option<u32>,
    /// Number of columns in a frame. [default: as square as possible]
    #[arg(long, value_name = "C", value_parser = super::parse::count)]
    pub(crate) columns: Option<u32>,
    /// The seed of the latents.
    #[arg(long, default_value_t = 0, value_parser = super::parse::seed)]
    pub(crate) seed: u64,
    /// Draw only images of this class, by its name or its number (see `sample`). [default: the classes
    /// in turn]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// The largest absolute value of a latent's elements, as in `sample`.
    #[arg(long, value_name = "LIMIT", value_parser = parse_truncation)]
    pub(crate) truncation: Option<f64>,
    #[command(flatten)]
    pub(crate) film: Film,
    #[command(flatten)]
    pub(crate) device: Device,
}

const WALK_EXAMPLES: &str = "\
Examples:
  gan-cli walk runs/mnist-5k --out walk.gif
  gan-cli walk runs/mnist-5k --along classes --out classes.gif
  gan-cli walk runs/mnist-5k --along 1 --class 3 --out direction.png
  gan-cli walk runs/mnist-5k --out frames/              for ffmpeg -i frames/%03d.png walk.mp4";

#[derive(Debug, ClapArgs)]
#[command(after_help = TIMELAPSE_EXAMPLES)]
pub(crate) struct Timelapse {
    /// The directory of a run. The run may be finished or still training.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) film: Film,
}

const TIMELAPSE_EXAMPLES: &str = "\
Examples:
  gan-cli timelapse runs/mnist-5k --out training.gif
  gan-cli timelapse runs/mnist-5k --fps 4 --out training.png";

/// What both commands write.
#[derive(Debug, ClapArgs)]
pub(crate) struct Film {
    /// The output. X.gif has at most 256 colours. X.png is an animated PNG, with all colours. DIR/ gets
    /// one PNG per frame. A file that exists is overwritten. [default: walk.gif or timelapse.gif, with a
    /// number if it exists]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Delete the numbered PNG files (0.png, 01.png, ...) that DIR/ holds. Without this option, such a
    /// directory is refused.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Number of frames. [default: walk 120; timelapse: the grids of the run, so many that the file
    /// stays below 10 MB]
    #[arg(long, value_name = "N", value_parser = super::parse::whole::<u32>(2..=100_000))]
    pub(crate) frames: Option<u32>,
    /// Number of frames in a second. [default: walk 20, timelapse 8]
    #[arg(long, value_name = "N", value_parser = super::parse::whole::<u16>(1..=50))]
    pub(crate) fps: Option<u16>,
}

/// The value of `--along`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    Latents,
    Classes,
    /// A direction, from 1 on.
    Direction(NonZero<usize>),
}

impl FromStr for Along {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "latents" => Ok(Self::Latents),
            "classes" => Ok(Self::Classes),
            number => match number.parse() {
                Ok(number) => Ok(Self::Direction(number)),
                Err(_) => Err("expected latents, classes, or the number of a direction from 1 on".to_owned()),
            },
        }
    }
}

fn parse_strength(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(strength) if (0.01..=100.).contains(&strength) => Ok(strength),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}
