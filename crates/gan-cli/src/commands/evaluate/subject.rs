//! The images to evaluate: a generator's, or those of any other program.

use super::super::sample::{load, locate};
use crate::args;
use crate::draw::Drawing;
use crate::exit::usage;
use crate::judge::Real;
use crate::{device, npy};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use gan_data::folder::{self, Background, Options, Transform};
use gan_data::{DataConfig, Dataset, Range, scattered};
use gan_metrics::classifier::CHUNK;
use gan_models::{Generator, Provenance};
use std::path::Path;

/// Number of values of a tensor of images. It is 64 MiB.
const VALUES: usize = 1 << 24;

/// The images to evaluate, and their name.
pub(super) struct Subject {
    name: String,
    origin: Origin,
    /// Names of the generator's classes. Empty if its file has none.
    class_names: Vec<String>,
    /// Number of images of each class in the data to compare with, or else in those of the training. Empty if
    /// nobody knows.
    class_counts: Vec<u64>,
}

/// Where the images come from.
enum Origin {
    Generator { generator: Box<Generator>, seed: u64, truncation: Option<f64> },
    Tensor(Tensor),
    Files(Box<Dataset>),
}

impl Subject {
    /// Opens the images for a comparison with `data`. RGB images with equal channels are evaluated
    /// as gray images. Composed data are an exception, because three equal channels are possible
    /// there.
    pub(super) fn open(args: &args::Evaluate, data: &DataConfig) -> Result<Self> {
        if let Some(path) = &args.samples {
            let origin = if path.is_dir() || folder::is_archive(path) {
                files(path, background(data)?)?
            } else if folder::is_picture(path) {
                let path = path.display();
                return Err(usage(format!(
                    "--samples {path}: expected a .npy file, or a directory or .zip file of pictures"
                )));
            } else {
                Origin::Tensor(array(path, args.range)?)
            };
            let origin = if data.name.composed().is_some() { origin } else { origin.gray(path)? };
            return Ok(Self {
                name: path.display().to_string(),
                origin,
                class_names: vec![],
                class_counts: vec![],
            });
        }
        let Some(from) = &args.from else {
            return Err(usage("expected a generator or a run to judge, or --samples"));
        };
        let file = locate(from)?;
        let device = device::open(&args.device.device)?;
        let (generator, trained) = load(from, &file, args.config.as_deref(), &device)?;
        let (seed, truncation) = (args.seed, args.truncation);
        let step = trained.as_ref().map(|trained| format!("step {}", trained.step));
        let limit = truncation.map(|limit| format!("truncation {limit}"));
        let how: Vec<String> = step.into_iter().chain(limit).collect();
        let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join(", ")) };
        let name = format!("{}{how}", file.display());
        let Provenance { class_names, class_counts, .. } = trained.unwrap_or_default();
        let origin = Origin::Generator { generator: Box::new(generator), seed, truncation };
        Ok(Self { name, origin, class_names, class_counts })
    }

    /// Whether the generator has the classes of the data. If so, each class is drawn as often as it is in the data.
    /// If it has other ones, this warns.
    pub(super) fn takes_classes_of(&mut self, real: &Real) -> bool {
        let Origin::Generator { generator, .. } = &self.origin else { return false };
        let Some(own) = generator.config().classes else { return false };
        let names = real.class_names();
        let has_other_names =
            [&self.class_names[..], names].iter().all(|names| !names.is_empty()) && self.class_names != names;
        let is_same = real.class_count() == Some(own) && !has_other_names;
        if is_same {
            self.class_counts = real.class_counts();
        } else {
            tracing::warn!("the generator has other classes than the data: no accuracy is computed");
        }
        is_same
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Channels and side of an image.
    pub(super) fn shape(&self) -> (usize, usize) {
        match &self.origin {
            Origin::Generator { generator, .. } => {
                let [channels, size, _] = generator.config().image_shape();
                (channels, size)
            }
            Origin::Tensor(images) => (images.dims()[1], images.dims()[2]),
            Origin::Files(data) => (data.channels(), data.size()),
        }
    }

    /// Number of images. A generator has no limit.
    pub(super) fn count(&self) -> Option<usize> {
        match &self.origin {
            Origin::Generator { .. } => None,
            Origin::Tensor(images) => Some(images.dims()[0]),
            Origin::Files(data) => Some(data.len()),
        }
    }

    /// The requested class of each of `count` images, if the generator has classes.
    pub(super) fn labels(&self, count: usize) -> Option<Vec<u16>> {
        match &self.origin {
            Origin::Generator { generator, seed, .. } => {
                Drawing::seeded(generator, *seed, count).with_class_counts(&self.class_counts).labels()
            }
            Origin::Tensor(_) | Origin::Files(_) => None,
        }
    }

    /// Number of images that become a tensor at once: some hundred, and fewer if they are large.
    fn at_once(&self) -> usize {
        let (channels, side) = self.shape();
        CHUNK.min(VALUES / (channels * side * side)).max(1)
    }

    /// `count` images, some hundred at a time. If there are more, it takes some of every part of them.
    pub(super) fn images(&self, count: usize) -> Result<Box<dyn Iterator<Item = Result<Tensor>> + '_>> {
        let chunks = |all: usize| {
            let indices: Vec<u32> = scattered(all, count).into_iter().map(|i| i as u32).collect();
            let at_once = self.at_once();
            (0..count)
                .step_by(at_once)
                .map(move |start| indices[start..][..at_once.min(count - start)].to_vec())
        };
        Ok(match &self.origin {
            Origin::Generator { generator, seed, truncation } => {
                let drawing = Drawing::seeded(generator, *seed, count).with_class_counts(&self.class_counts);
                Box::new(drawing.truncated(*truncation)?.chunks())
            }
            Origin::Tensor(images) => Box::new(
                chunks(images.dim(0)?)
                    .map(|indices| Ok(images.index_select(&Tensor::new(indices, &Device::Cpu)?, 0)?)),
            ),
            Origin::Files(data) => {
                let tensor = |indices: Vec<u32>| {
                    Ok(data.tensor(&indices, data.channels(), Range::MinusOneOne, &Device::Cpu)?)
                };
                Box::new(chunks(data.len()).map(tensor))
            }
        })
    }
}

impl Origin {
    /// Turns RGB images with equal channels into gray images. `path` is where they come from.
    fn gray(self, path: &Path) -> Result<Self> {
        let gray = match &self {
            Self::Tensor(images) if images.dim(1)? == 3 => {
                let first = images.narrow(1, 0, 1)?;
                let others = first.broadcast_ne(images)?.to_dtype(DType::F32)?.sum_all()?;
                (others.to_scalar::<f32>()? == 0.).then(|| first.contiguous()).transpose()?.map(Self::Tensor)
            }
            Self::Files(data) => data.gray().map(Box::new).map(Self::Files),
            Self::Tensor(_) | Self::Generator { .. } => None,
        };
        if gray.is_some() {
            tracing::info!("--samples {}: the RGB images are gray, and are judged as gray", path.display());
        }
        Ok(gray.unwrap_or(self))
    }
}

/// The background of the real pictures. "mean" is their mean colour, not that of the samples, and an archive may
/// have one of its own.
fn background(data: &DataConfig) -> Result<Option<Background>> {
    let Some(dir) = data.dir.as_ref().filter(|_| data.name.is_folder()) else { return Ok(data.background) };
    if data.background == Some(Background::Mean) || folder::is_archive(dir) {
        return Ok(Some(Background::Color(folder::ground(dir, data.background)?)));
    }
    Ok(data.background)
}

/// Every picture of a directory or an archive. All are read with the most common size, and as RGB if
/// any has colours. Transparent parts get the background of the real pictures.
fn files(path: &Path, background: Option<Background>) -> Result<Origin> {
    let survey = folder::survey(path)?;
    let (channels, size) = (survey.channels(), survey.side());
    if let Some(mixture) = survey.mixture() {
        let as_channels = if channels == 1 { "gray" } else { "RGB" };
        tracing::info!(
            "--samples {}: {mixture}: all are judged as {size}x{size} {as_channels}",
            path.display()
        );
    }
    match survey.not_square() {
        0 => {}
        count => tracing::warn!(
            "--samples {}: {count} of the pictures are not square: only their central squares are judged",
            path.display()
        ),
    }
    let transform = Transform { background, ..Transform::default() };
    let data = folder::load(path, &Options { transform, ..Options::new(size, channels) })?;
    tracing::info!("--samples: {}", data.source());
    if let Some(doubt) = data.doubt() {
        tracing::warn!("--samples {}: {doubt}", path.display());
    }
    Ok(Origin::Files(Box::new(data)))
}

/// Images of a `.npy` file: floats in the given range, integers or booleans. The shape is
/// `[N, C, S, S]`, or `[N, S, S]` for gray images.
fn array(path: &Path, range: Option<args::PixelRange>) -> Result<Tensor> {
    let at = || format!("--samples {}", path.display());
    let array = npy::read(path, |header| match (image_shape(header), header.shape.last()) {
        (Some(_), _) => Ok(()),
        (None, Some(1 | 3)) if header.shape.len() > 2 => {
            bail!("{EXPECTED}, found {header}; numpy.moveaxis(x, -1, 1) puts channels first")
        }
        (None, _) => bail!("{EXPECTED}, found {header}"),
    });
    let npy::Array { header, values } = array.with_context(at)?;
    let shape = image_shape(&header).unwrap_or_default();
    let (low, high) = match (header.number.kind(), range) {
        (npy::Kind::Signed | npy::Kind::Unsigned, None) => (0., 255.),
        (npy::Kind::Bool, Some(_)) => return Err(usage(format!("{}: booleans have no --range", at()))),
        (npy::Kind::Signed | npy::Kind::Unsigned, Some(_)) => {
            return Err(usage(format!("{}: bytes are in 0..=255, not in --range", at())));
        }
        (npy::Kind::Bool, None) | (npy::Kind::Float, Some(args::PixelRange::ZeroOne)) => (0., 1.),
        (npy::Kind::Float, None | Some(args::PixelRange::MinusOneOne)) => (-1., 1.),
    };
    // The last rounding of a generator may exceed the range slightly. A wrong range exceeds it by
    // far more.
    let slack = if header.number.kind() == npy::Kind::Float { (high - low) * 1e-3 } else { 0. };
    let (least, most) = values.iter().fold((f32::MAX, f32::MIN), |(l, m), &v| (l.min(v), m.max(v)));
    if least < low - slack || most > high + slack {
        let which = if slack > 0. { " (--range says which)" } else { "" };
        return Err(usage(format!(
            "{}: expected values in [{low}, {high}], found {least} to {most}{which}",
            at()
        )));
    }
    if high > 1. && most == 0. {
        tracing::warn!("{}: all values are 0, so all images are black", at());
    } else if high > 1. && most <= 1. {
        return Err(usage(format!(
            "{}: the largest value is {most}: expected 0 to 255, where 0 is black (for 0 and 1, save booleans: \
             x.astype(bool))",
            at()
        )));
    }
    match header.number.kind() {
        npy::Kind::Bool => tracing::info!("{}: False is black, True is white", at()),
        npy::Kind::Float if range.is_none() && least > DOUBTFUL_BLACK => {
            tracing::warn!(
                "{}: values in [{least}, {most}] are judged as [-1, 1], where black is -1: if the images are \
                 in [0, 1], say --range zero-one; scale those of another range",
                at()
            );
        }
        npy::Kind::Signed if header.number.size() == 1 => {
            tracing::warn!(
                "{}: int8 ends at 127, so no image is brighter than gray: save uint8 from 0 to 255",
                at()
            );
        }
        npy::Kind::Signed | npy::Kind::Unsigned if most < DOUBTFUL_WHITE => {
            tracing::warn!(
                "{}: values in [{least}, {most}] are judged as [0, 255]: all images are nearly black",
                at()
            );
        }
        npy::Kind::Float | npy::Kind::Signed | npy::Kind::Unsigned => (),
    }
    // Floats in the right range stay as they are. Bytes get exactly the same values as the bytes of
    // the data set.
    let values = if low < 0. { values } else { values.into_iter().map(|v| v / (high / 2.) - 1.).collect() };
    Ok(Tensor::from_vec(values, &shape[..], &Device::Cpu)?)
}

/// If no float in [-1, 1] is below this one, the images are probably in another range.
const DOUBTFUL_BLACK: f32 = -0.75;

/// If no whole number reaches this one, the values are probably classes or other levels.
const DOUBTFUL_WHITE: f32 = 16.;

const EXPECTED: &str =
    "expected floats, integers or booleans [N, C, S, S] or [N, S, S] with C 1 or 3 and N and S above 0";

/// The shape `[N, C, S, S]` of an array of images. `None` if it has another shape.
fn image_shape(header: &npy::Header) -> Option<[usize; 4]> {
    let sides: Vec<usize> = header.shape.iter().map(|&side| side as usize).collect();
    match sides[..] {
        [n, height, width] if height == width => Some([n, 1, height, width]),
        [n, channels @ (1 | 3), height, width] if height == width => Some([n, channels, height, width]),
        _ => None,
    }
    .filter(|[n, _, side, _]| *n > 0 && *side > 0)
}
