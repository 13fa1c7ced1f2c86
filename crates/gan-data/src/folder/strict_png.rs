//! Decodes PNG files strictly. The decoder of the crate `image` does not compare the checksum of the
//! compressed pixels.

use image::error::{DecodingError, ImageError, ImageFormatHint, ImageResult};
use image::{ColorType, ImageDecoder, ImageFormat};
use png::{BitDepth, DecodeOptions, Decoder, Limits, Reader, Transformations};

use super::picture::{Attempt, Bytes};

/// A PNG file without a palette.
pub(super) struct StrictPng {
    reader: Reader<Box<dyn Bytes>>,
    color: ColorType,
}

/// A decoder that compares all checksums, and keeps at most `limit` bytes beside the picture.
pub(super) fn decoder(file: Box<dyn Bytes>, limit: usize) -> Decoder<Box<dyn Bytes>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(file, options);
    decoder.set_limits(Limits { bytes: limit });
    decoder
}

/// An error of the decoder.
pub(super) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Png), error))
}

impl StrictPng {
    /// Reads the header. Samples of fewer than 8 bits become 8 bits.
    ///
    /// # Errors
    ///
    /// If the header is damaged.
    pub(super) fn open(file: Box<dyn Bytes>, limit: usize) -> Attempt<Self> {
        let mut decoder = decoder(file, limit);
        decoder.set_transformations(Transformations::EXPAND);
        let reader = decoder.read_info().map_err(|error| error.to_string())?;
        let (color, depth) = reader.output_color_type();
        let color = match (color.samples(), depth) {
            (1, BitDepth::Eight) => ColorType::L8,
            (1, BitDepth::Sixteen) => ColorType::L16,
            (2, BitDepth::Eight) => ColorType::La8,
            (2, BitDepth::Sixteen) => ColorType::La16,
            (3, BitDepth::Eight) => ColorType::Rgb8,
            (3, BitDepth::Sixteen) => ColorType::Rgb16,
            (4, BitDepth::Eight) => ColorType::Rgba8,
            (4, BitDepth::Sixteen) => ColorType::Rgba16,
            (samples, depth) => return Err(format!("it has {samples} samples of {} bits", depth as u8)),
        };
        Ok(Self { reader, color })
    }
}

impl ImageDecoder for StrictPng {
    fn dimensions(&self) -> (u32, u32) {
        self.reader.info().size()
    }

    fn color_type(&self) -> ColorType {
        self.color
    }

    fn read_image(mut self, buf: &mut [u8]) -> ImageResult<()> {
        self.reader.next_frame(buf).map_err(broken)?;
        // PNG's samples of 16 bits begin with their higher byte.
        if self.color.bytes_per_pixel() == 2 * self.color.channel_count() {
            for sample in buf.as_chunks_mut::<2>().0 {
                *sample = u16::from_be_bytes(*sample).to_ne_bytes();
            }
        }
        Ok(())
    }

    fn read_image_boxed(self: Box<Self>, buf: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buf)
    }
}
