//! Animations: frames of one size, as a GIF, an animated PNG, or single pictures.

mod encode;

use crate::args;
use crate::aside;
use crate::commands::output::{self, Place};
use crate::exit::usage;
use crate::run_dir;
use crate::signals::{Interrupted, Stop};
use crate::terminal::counted;
use anyhow::{Context, Result};
use std::path::Path;

/// Number of bytes that an animation has at most, unless its number of frames or images is given. Pixels
/// of drawn images hardly compress, so it counts pixels before compression.
pub(crate) const SMALL: usize = 7_000_000;
/// Number of bytes of all frames together, which are in memory.
const MOST: usize = 1 << 30;

/// Where the frames go, and how fast they are shown.
#[derive(Debug)]
pub(crate) struct Film {
    place: Place,
    kind: Kind,
    fps: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gif,
    Png,
    Pictures,
}

/// Pictures of one size, `[height, width, channels]` each.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: Vec<Vec<u8>>,
    /// Time for which the last frame stays, in frames.
    pub(crate) hold: u16,
}

impl Film {
    /// The place that `--out` names. Without the option it is the first of `NAME.gif`, `NAME-2.gif`,
    /// ... that does not exist.
    pub(crate) fn choose(args: &args::Film, name: &str, fps: u16) -> Result<Self> {
        let path = args.out.clone().unwrap_or_else(|| output::next_free(name, "gif"));
        run_dir::check_link(&path)?;
        let kind = kind(&path)?;
        if args.replace && kind != Kind::Pictures {
            return Err(usage(format!("--replace: expected --out DIR/, found {}", path.display())));
        }
        Ok(Self { place: Place::new(path), kind, fps: args.fps.unwrap_or(fps) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Refuses to overwrite an input, a file of a run, or a directory with numbered pictures.
    pub(crate) fn protect(&self, inputs: &[(&Path, &str)], replace: bool) -> Result<()> {
        self.place.protect(inputs)?;
        if self.kind == Kind::Pictures && !replace { self.place.protect_numbered() } else { Ok(()) }
    }

    /// Number of bytes of a pixel with `channels` in this format, before compression.
    pub(crate) fn bytes_of_pixel(&self, channels: usize) -> usize {
        if self.kind == Kind::Gif { 1 } else { channels }
    }

    /// Refuses frames that do not fit into memory or the format, before any is made.
    pub(crate) fn check_size(&self, frames: usize, [height, width, channels]: [usize; 3]) -> Result<usize> {
        let bytes = [height, width, channels].into_iter().try_fold(frames, usize::checked_mul);
        let bytes = bytes.filter(|&bytes| bytes <= MOST).ok_or_else(|| {
            usage(format!(
                "--frames: expected at most {MOST} bytes of pixels, found {frames} frames of {width}x{height}x{channels}"
            ))
        })?;
        if self.kind == Kind::Gif && height.max(width) > usize::from(u16::MAX) {
            let most = u16::MAX;
            return Err(usage(format!(
                "--out: a GIF has at most {most} pixels a side, found {width}x{height}: give --count fewer \
                 images, or write X.png"
            )));
        }
        Ok(bytes)
    }

    /// Writes the frames. After an error or a signal, the old files are as they were.
    pub(crate) fn write(&self, frames: Frames, stop: &Stop) -> Result<()> {
        let (path, fps) = (self.path(), self.fps);
        let encode: fn(&Frames, u16) -> Result<Vec<u8>> = match self.kind {
            Kind::Pictures => return write_pictures(&frames, &self.place, stop),
            Kind::Gif => encode::gif,
            Kind::Png => encode::apng,
        };
        let gives_up = || stop.check().is_err();
        let Some(bytes) = aside::compute(move || encode(&frames, fps), gives_up)?.transpose()? else {
            return Err(Interrupted.into());
        };
        output::prepare_parent(path)?;
        output::write(&self.place, &bytes, stop)
    }
}

fn kind(out: &Path) -> Result<Kind> {
    if output::is_directory(out) {
        return Ok(Kind::Pictures);
    }
    match output::extension(out).as_deref() {
        Some("gif") => Ok(Kind::Gif),
        Some("png") => Ok(Kind::Png),
        _ => Err(usage(format!("--out: expected X.gif, X.png or DIR/, found {}", out.display()))),
    }
}

/// Writes a PNG file for each frame.
fn write_pictures(frames: &Frames, out: &Place, stop: &Stop) -> Result<()> {
    output::fill_with_pictures(out, stop, |place| {
        let digits = (frames.pixels.len() - 1).to_string().len();
        let write = |(number, pixels): (usize, &Vec<u8>)| {
            stop.check()?;
            let name = format!("{number:0digits$}.png");
            let file = place.join(&name);
            std::fs::write(&file, encode::png(frames, pixels)?)
                .with_context(|| file.display().to_string())?;
            Ok(name)
        };
        frames.pixels.iter().enumerate().map(write).collect()
    })
}

/// What a message says about the frames.
pub(crate) fn described(frames: &Frames, out: &Path) -> String {
    let (number, width, height) = (counted(frames.pixels.len(), "frame"), frames.width, frames.height);
    format!("{number} of {width}x{height} in {}", out.display())
}

/// The numbers of `count` of `all` things, evenly spaced, with the first and the last.
pub(crate) fn spread(all: usize, count: usize) -> Vec<usize> {
    if count >= all {
        return (0..all).collect();
    }
    let last = (count - 1).max(1);
    (0..count).map(|n| n * (all - 1) / last).collect()
}
