//! The bytes of animations.

use super::Frames;
use anyhow::{Context, Result};
use gif::{Encoder, Frame, Repeat};
use png::{BitDepth, ColorType};
use quantette::deps::palette::Srgb;
use quantette::deps::palette::cast::from_component_slice;
use quantette::{ImageRef, PaletteBuf, Pipeline};

/// Number of pixels from which the palette of an animation is computed, evenly spaced in all frames.
const LOOKED_AT: usize = 1 << 22;

/// A GIF that repeats forever. Gray pictures keep their 256 grays. For colours, all frames have one
/// palette of 256, and the difference is dithered.
pub(super) fn gif(frames: &Frames, fps: u16) -> Result<Vec<u8>> {
    let side = |side: usize| u16::try_from(side).context("--out: a GIF has at most 65535 pixels a side");
    let (width, height) = (side(frames.width)?, side(frames.height)?);
    let palette = if frames.channels == 1 { None } else { Some(palette(frames)?) };
    let colors: Vec<u8> = match &palette {
        None => (0..=u8::MAX).flat_map(|gray| [gray; 3]).collect(),
        Some(palette) => palette.iter().flat_map(|color| [color.red, color.green, color.blue]).collect(),
    };
    let mut bytes = vec![];
    let mut encoder = Encoder::new(&mut bytes, width, height, &colors)?;
    encoder.set_repeat(Repeat::Infinite)?;
    // A GIF counts time in hundredths of a second. If a frame does not take a whole number of them, some
    // frames take one more than others, so that the film is as fast as it should be.
    let time = |frames: u32| (200 * frames + u32::from(fps)) / (2 * u32::from(fps));
    let mut before = 0u32;
    for (number, pixels) in frames.pixels.iter().enumerate() {
        let indices = match &palette {
            None => pixels.clone(),
            Some(palette) => dithered(frames, pixels, palette)?,
        };
        let shown = if number + 1 == frames.pixels.len() { 1 + frames.hold } else { 1 };
        let after = before + u32::from(shown);
        let delay =
            u16::try_from(time(after) - time(before)).context("--fps: a frame would stay too long")?;
        before = after;
        encoder.write_frame(&Frame { delay, width, height, buffer: indices.into(), ..Frame::default() })?;
    }
    drop(encoder);
    Ok(bytes)
}

/// The 256 colours that stand best for the colours of all frames.
fn palette(frames: &Frames) -> Result<PaletteBuf<Srgb<u8>>> {
    let pixels = frames.width * frames.height * frames.pixels.len();
    let every = pixels.div_ceil(LOOKED_AT);
    let all = frames.pixels.iter().flat_map(|pixels| colors(pixels));
    let some: Vec<Srgb<u8>> = all.step_by(every).copied().collect();
    Ok(Pipeline::new().parallel(true).input_slice(&some[..])?.output_srgb8_palette())
}

/// The numbers of the palette's colours.
fn dithered(frames: &Frames, pixels: &[u8], palette: &PaletteBuf<Srgb<u8>>) -> Result<Vec<u8>> {
    let image = ImageRef::new(frames.width as u32, frames.height as u32, colors(pixels));
    let image = image.ok().context("a frame of another size")?;
    let pipeline = Pipeline::new().quantize_method(palette.clone()).parallel(true);
    Ok(pipeline.input_image(image).output_oklab_indexed_image().into_parts().1)
}

fn colors(pixels: &[u8]) -> &[Srgb<u8>] {
    from_component_slice(pixels)
}

/// An animated PNG that repeats forever.
pub(super) fn apng(frames: &Frames, fps: u16) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut encoder = encoder(&mut bytes, frames);
    encoder.set_animated(frames.pixels.len() as u32, 0)?;
    encoder.set_frame_delay(1, fps)?;
    let mut writer = encoder.write_header()?;
    for (number, pixels) in frames.pixels.iter().enumerate() {
        if number + 1 == frames.pixels.len() {
            writer.set_frame_delay(1 + frames.hold, fps)?;
        }
        writer.write_image_data(pixels)?;
    }
    writer.finish()?;
    Ok(bytes)
}

/// A PNG with one frame.
pub(super) fn png(frames: &Frames, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut writer = encoder(&mut bytes, frames).write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn encoder<'a>(bytes: &'a mut Vec<u8>, frames: &Frames) -> png::Encoder<'static, &'a mut Vec<u8>> {
    let mut encoder = png::Encoder::new(bytes, frames.width as u32, frames.height as u32);
    encoder.set_color(if frames.channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_depth(BitDepth::Eight);
    encoder
}
