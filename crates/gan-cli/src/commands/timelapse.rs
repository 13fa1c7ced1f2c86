//! `gan-cli timelapse`: an animation of the grids of a run.

use crate::args;
use crate::exit::{End, usage};
use crate::film::{Film, Frames, SMALL, described, spread};
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal::counted;
use anyhow::{Context, Result, bail};
use png::{BitDepth, ColorType, Decoder, Limits};

use std::io::Cursor;
use std::path::Path;

const FPS: u16 = 8;
/// Seconds for which the last grid stays.
const HOLD: u16 = 2;
/// Largest size of a decoded grid in bytes.
const MOST: usize = 1 << 28;

pub(crate) fn run(args: &args::Timelapse) -> Result<End> {
    let film = Film::choose(&args.film, "timelapse", FPS)?;
    film.protect(&[], args.film.replace)?;
    super::check_exists(&args.run)?;
    super::sample::check_outside_data(&run_dir::config(&args.run), film.path())?;
    let grids = if args.run.join("samples").is_dir() { run_dir::grids(&args.run)? } else { vec![] };
    let Some(last) = grids.last() else {
        return Err(usage(format!(
            "{} has no grids: expected the directory of a run with samples/step-*.png",
            args.run.display()
        )));
    };
    let Frames { width, height, channels, .. } = read(last)?;
    let bytes = width * height * film.bytes_of_pixel(channels);
    let count = args.film.frames.map_or_else(|| (SMALL / bytes).max(2), |count| count as usize);
    let chosen: Vec<_> = spread(grids.len(), count).into_iter().map(|index| &grids[index]).collect();
    film.check_size(chosen.len(), [height, width, channels])?;
    let stop = Stop::on_signals()?;
    let mut frames =
        Frames { width, height, channels, pixels: vec![], hold: HOLD * args.film.fps.unwrap_or(FPS) };
    let mut others = 0;
    for grid in chosen {
        stop.check()?;
        let Frames { width, height, channels, mut pixels, .. } = read(grid)?;
        if (width, height, channels) == (frames.width, frames.height, frames.channels) {
            frames.pixels.append(&mut pixels);
        } else {
            others += 1;
        }
    }
    if others > 0 {
        tracing::warn!("{} of another size passed over", counted(others, "grid"));
    }
    let text = described(&frames, film.path());
    film.write(frames, &stop)?;
    tracing::info!("{text}");
    Ok(End::Done)
}

/// Reads a grid as a run writes it: gray or RGB, of 8 bits.
fn read(path: &Path) -> Result<Frames> {
    // A pipe is refused, because it could block for ever.
    decode(&gan_files::read(path)?).with_context(|| path.display().to_string())
}

pub(crate) fn decode(png: &[u8]) -> Result<Frames> {
    let mut reader = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: MOST }).read_info()?;
    let channels = match reader.output_color_type() {
        (ColorType::Grayscale, BitDepth::Eight) => 1,
        (ColorType::Rgb, BitDepth::Eight) => 3,
        (color, depth) => bail!("expected gray or RGB of 8 bits, found {color:?} of {depth:?}"),
    };
    let length = reader.output_buffer_size().filter(|&length| length <= MOST).context("it is too large")?;
    let mut pixels = vec![0; length];
    let frame = reader.next_frame(&mut pixels)?;
    let (width, height) = (frame.width as usize, frame.height as usize);
    Ok(Frames { width, height, channels, pixels: vec![pixels], hold: 0 })
}
