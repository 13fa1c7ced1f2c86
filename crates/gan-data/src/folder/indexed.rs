//! Decodes PNG files with a palette strictly. The decoder of the crate `image` reads a pixel whose
//! number is beyond the palette as black, without an error.

use std::io::SeekFrom;

use image::error::ImageResult;
use image::{ColorType, ImageDecoder};
use png::{Reader, Transformations};

use super::picture::{Attempt, Bytes};
use super::strict_png::{broken, decoder};

/// Place of the byte that says how a file stores colours, and its value for a palette.
const KIND: (u64, u8) = (25, 3);

/// A PNG file with a palette.
pub(super) struct Indexed {
    reader: Reader<Box<dyn Bytes>>,
    /// Red, green, blue and opacity of each entry.
    palette: Vec<[u8; 4]>,
    has_alpha: bool,
}

/// Whether a PNG file has a palette.
pub(super) fn is_indexed(file: &mut dyn Bytes) -> std::io::Result<bool> {
    let (place, value) = KIND;
    let mut kind = [0];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut kind)?;
    Ok(kind == [value])
}

impl Indexed {
    /// Reads the header and the palette. The decoder keeps at most `limit` bytes beside the picture.
    ///
    /// # Errors
    ///
    /// If the header is damaged, or there is no palette.
    pub(super) fn open(file: Box<dyn Bytes>, limit: usize) -> Attempt<Self> {
        let mut decoder = decoder(file, limit);
        decoder.set_transformations(Transformations::IDENTITY);
        let reader = decoder.read_info().map_err(|error| error.to_string())?;
        let info = reader.info();
        let colors = info.palette.as_deref().ok_or("it has no palette")?.as_chunks::<3>().0;
        // An opacity for more entries than there are is no opacity for any, as for other decoders.
        let opacity = info.trns.as_deref().filter(|opacity| opacity.len() <= colors.len());
        let entry = |(at, &[red, green, blue]): (usize, &[u8; 3])| {
            let alpha = opacity.and_then(|opacity| opacity.get(at)).copied().unwrap_or(u8::MAX);
            [red, green, blue, alpha]
        };
        let (palette, has_alpha) = (colors.iter().enumerate().map(entry).collect(), info.trns.is_some());
        Ok(Self { reader, palette, has_alpha })
    }
}

impl ImageDecoder for Indexed {
    fn dimensions(&self) -> (u32, u32) {
        self.reader.info().size()
    }

    fn color_type(&self) -> ColorType {
        if self.has_alpha { ColorType::Rgba8 } else { ColorType::Rgb8 }
    }

    fn read_image(mut self, buf: &mut [u8]) -> ImageResult<()> {
        let length = self.reader.output_buffer_size().ok_or_else(|| broken("it is too large"))?;
        let mut packed = vec![0; length];
        let frame = self.reader.next_frame(&mut packed).map_err(broken)?;
        let (width, bits) = (frame.width as usize, frame.bit_depth as usize);
        let channels = self.color_type().channel_count().into();
        let rows = packed.chunks_exact(frame.line_size).zip(buf.chunks_exact_mut(width * channels));
        for (row, pixels) in rows {
            for (x, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
                // The first pixel of a byte is in its highest bits.
                let index = row[x * bits / 8] >> (8 - bits - x * bits % 8) & (u8::MAX >> (8 - bits));
                let color = self.palette.get(usize::from(index)).ok_or_else(|| {
                    let entries = self.palette.len();
                    broken(format!("a pixel has the colour {index} of a palette of {entries} colours"))
                })?;
                pixel.copy_from_slice(&color[..channels]);
            }
        }
        Ok(())
    }

    fn read_image_boxed(self: Box<Self>, buf: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buf)
    }
}
