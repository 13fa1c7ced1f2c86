//! `gan-cli walk`: an animation of images whose latents move.

use super::sample::{load, locate};
use crate::args::{self, Along};
use crate::device;
use crate::draw::{self, CHUNK, Drawing};
use crate::exit::{End, usage};
use crate::film::{Film, Frames, SMALL, described};
use crate::memory::{Budget, Need};
use crate::mixing::{mixed, on_a_sphere};
use crate::signals::Stop;
use anyhow::Result;
use candle_core::Tensor;
use gan_data::GridBuilder;
use gan_models::{Distribution, Generator, Latents};
use gan_ops::rng::Stream;

const FRAMES: u32 = 120;
const FPS: u16 = 20;
const STOPS: u16 = 6;
const STRENGTH: f64 = 3.;
/// Number of images in a frame by default, at most.
const IMAGES: usize = 64;

pub(crate) fn run(args: &args::Walk, budget: Budget) -> Result<End> {
    let film = Film::choose(&args.film, "walk", FPS)?;
    let file = locate(&args.from)?;
    film.protect(&[(&file, "the generator itself")], args.film.replace)?;
    super::sample::check_outside_data(&file, film.path())?;
    let device = device::open(&args.device.device)?;
    let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &device)?;
    let names = trained.map(|trained| trained.class_names).unwrap_or_default();
    let [channels, height, width] = generator.config().image_shape();
    let frames = args.film.frames.unwrap_or(FRAMES) as usize;
    let count = args.count.map_or_else(
        || images(film.bytes_of_pixel(channels) * (height + 2) * (width + 2) * frames),
        |count| count as usize,
    );
    let columns = args.columns.map_or_else(|| draw::columns(count), |columns| columns as usize).min(count);
    let size = [count.div_ceil(columns) * (height + 2) + 2, columns * (width + 2) + 2, channels];
    let bytes = film.check_size(frames, size)?;
    budget.check(&Need::of_drawing(generator.config(), CHUNK.min(count), bytes as u128))?;
    let path = Path::new(args, &generator, count, &names)?;
    let stop = Stop::on_signals()?;
    let draw = |frame: usize| {
        stop.check()?;
        let z = path.at(frame as f64 / frames as f64)?;
        let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
        for images in Drawing::of_latents(&generator, z)?.chunks() {
            grid.push(&images?)?;
        }
        Ok(grid.finish().pixels().to_vec())
    };
    let pixels = (0..frames).map(draw).collect::<Result<_>>()?;
    let [height, width, channels] = size;
    let frames = Frames { width, height, channels, pixels, hold: 0 };
    let text = described(&frames, film.path());
    film.write(frames, &stop)?;
    tracing::info!("{text}");
    Ok(End::Done)
}

/// The largest square number of images, up to [`IMAGES`], that makes a small file. An image takes `bytes`.
fn images(bytes: usize) -> usize {
    let side = ((SMALL / bytes.max(1)) as f64).sqrt() as usize;
    (side * side).clamp(1, IMAGES)
}

/// A closed path of the latents of some images.
struct Path {
    moving: Moving,
    /// Labels of the images, `[images, classes]`, if they have some and keep them.
    labels: Option<Tensor>,
}

enum Moving {
    /// Random latents `[images, latent_dim]`, one after the other.
    Stops(Vec<Tensor>, Distribution),
    /// Latents, and the number of classes to go through.
    Classes(Tensor, usize),
    /// Latents, and the direction `[1, latent_dim]` with its length.
    Direction(Tensor, Tensor),
}

impl Path {
    fn new(args: &args::Walk, generator: &Generator, count: usize, names: &[String]) -> Result<Self> {
        let (config, device) = (generator.config(), generator.device());
        let mut latents = config.latents();
        if let Some(limit) = args.truncation {
            latents = latents.truncated(limit)?;
        }
        if args.along != Along::Latents && args.stops.is_some() {
            return Err(usage("--stops: expected --along latents with it"));
        }
        let is_direction = matches!(args.along, Along::Direction(_));
        if !is_direction && args.strength.is_some() {
            return Err(usage("--strength: expected --along N with it, a direction"));
        }
        let mut stream = Stream::new(args.seed, "sample", 0);
        let z = latents.draw_z(&mut stream, count, device)?;
        let moving = match args.along {
            Along::Latents => {
                let more =
                    (1..args.stops.unwrap_or(STOPS)).map(|_| latents.draw_z(&mut stream, count, device));
                let stops = std::iter::once(Ok(z)).chain(more).collect::<candle_core::Result<_>>()?;
                Moving::Stops(stops, config.latent)
            }
            Along::Classes => {
                if args.class.is_some() {
                    return Err(usage("--class: expected none with --along classes"));
                }
                let none =
                    || usage("--along classes: this generator was trained without classes (model.classes)");
                Moving::Classes(z, latents.classes().ok_or_else(none)?)
            }
            Along::Direction(number) => {
                let directions = generator.directions()?;
                let most = directions.len();
                let direction = directions.get(number.get() - 1).ok_or_else(|| {
                    usage(format!(
                        "--along {number}: expected latents, classes, or a direction from 1 to {most}"
                    ))
                })?;
                let direction = Tensor::new(&direction[..], device)?.unsqueeze(0)?;
                Moving::Direction(z, (direction * args.strength.unwrap_or(STRENGTH))?)
            }
        };
        let labels = match moving {
            Moving::Classes(..) => None,
            Moving::Stops(..) | Moving::Direction(..) => labels(args, generator, &latents, count, names)?,
        };
        Ok(Self { moving, labels })
    }

    /// The inputs of the images at `time` in [0, 1). At 1 they would be those at 0.
    fn at(&self, time: f64) -> Result<Tensor> {
        let z = match &self.moving {
            Moving::Stops(stops, distribution) => {
                let (at, share) = between(time, stops.len());
                let (from, to) = (&stops[at], &stops[(at + 1) % stops.len()]);
                match distribution {
                    Distribution::Normal => on_a_sphere(from, to, share)?,
                    Distribution::Uniform => mixed(from, to, share)?,
                }
            }
            Moving::Classes(z, classes) => {
                let (at, share) = between(time, *classes);
                let mut label = vec![0f32; *classes];
                label[at] = 1. - share as f32;
                label[(at + 1) % classes] += share as f32;
                let label = Tensor::new(label, z.device())?.unsqueeze(0)?;
                return Ok(Tensor::cat(&[z, &label.repeat((z.dim(0)?, 1))?], 1)?);
            }
            Moving::Direction(z, direction) => {
                z.broadcast_add(&(direction * (std::f64::consts::TAU * time).sin())?)?
            }
        };
        Ok(match &self.labels {
            Some(labels) => Tensor::cat(&[&z, labels], 1)?,
            None => z,
        })
    }
}

/// The labels of the images: one class, or the classes in turn.
fn labels(
    args: &args::Walk,
    generator: &Generator,
    latents: &Latents,
    count: usize,
    names: &[String],
) -> Result<Option<Tensor>> {
    if matches!(args.class, Some(args::Class::All)) {
        return Err(usage("--class all: without --class, the images have all classes in turn"));
    }
    let chosen = args.class.as_ref().map(|class| class.one(generator, names)).transpose()?;
    let Some(classes) = latents.classes() else { return Ok(None) };
    let of_all = draw::Labels::InTurn(classes);
    let labels: Vec<u16> = (0..count).map(|image| chosen.unwrap_or_else(|| of_all.of(image))).collect();
    let none = Tensor::zeros((count, 0), candle_core::DType::F32, generator.device())?;
    Ok(Some(latents.with_labels(&none, &labels)?))
}

/// The stop before `time`, of `stops` in a circle, and the share of the way to the next one.
fn between(time: f64, stops: usize) -> (usize, f64) {
    let place = time * stops as f64;
    let at = (place as usize).min(stops - 1);
    (at, place - at as f64)
}

#[cfg(test)]
mod tests;
