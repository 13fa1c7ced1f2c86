//! One picture file. Everything that its header says is checked before it is decoded.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};

use super::exif::Metadata;
use super::indexed::{self, Indexed};
use super::jpeg::StrictJpeg;
use super::strict_png::StrictPng;
use super::{complete, exif};

/// Maximum number of pixels, 8192x8192. A small file can announce a huge picture, and no training
/// image needs more. A fuzzer would spend its time on decoding large pictures.
const MAX_PIXELS: u64 = if cfg!(fuzzing) { 1 << 18 } else { 1 << 26 };
/// Maximum length of a file, and of what a decoder keeps beside the picture.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Bytes for each pixel beside the decoded picture. A progressive JPEG keeps up to four
/// coefficients of two bytes. WebP's decoder keeps a copy of four bytes. The cut square has three.
const WORKING_BYTES: u64 = 8;

/// The bytes of a picture: a file, or an entry of an archive.
pub(super) trait Bytes: BufRead + Seek {}

impl<T: BufRead + Seek> Bytes for T {}

/// A result whose error says what is wrong with a picture. It does not name the file.
pub(super) type Attempt<T> = Result<T, String>;

/// A picture of a plausible size that is not cut off. It is not decoded.
pub(super) struct Picture {
    decoder: Box<dyn ImageDecoder>,
    orientation: Orientation,
    is_animated: bool,
    file_bytes: u64,
}

impl Picture {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is too large, is no picture, is cut off, or announces too many
    /// pixels.
    pub(super) fn open(path: &Path) -> Attempt<Self> {
        // Opening a pipe could wait forever, so the kind of the file comes first.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let file_bytes = metadata.len();
        if file_bytes > MAX_FILE_BYTES {
            return Err(format!("it has {file_bytes} bytes; at most {MAX_FILE_BYTES}"));
        }
        Self::new(Box::new(BufReader::new(File::open(path).map_err(unreadable)?)), file_bytes)
    }

    /// Reads the header of a picture that is in memory.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::open`].
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Attempt<Self> {
        let length = bytes.len() as u64;
        Self::new(Box::new(Cursor::new(bytes)), length)
    }

    fn new(mut file: Box<dyn Bytes>, file_bytes: u64) -> Attempt<Self> {
        let mut start = vec![];
        file.by_ref().take(16).read_to_end(&mut start).map_err(unreadable)?;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        if start.is_empty() {
            return Err("it is empty".to_owned());
        }
        let Opened { decoder, orientation, is_animated } =
            open(file, file_bytes, image::guess_format(&start).ok())?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(format!("it announces {width}x{height} pixels; at most {MAX_PIXELS} (8192x8192)"));
        }
        Ok(Self { decoder, orientation, is_animated, file_bytes })
    }

    /// Length of the shorter side.
    pub(super) fn side(&self) -> usize {
        let (width, height) = self.decoder.dimensions();
        width.min(height) as usize
    }

    /// Width and height. EXIF data may exchange them when the picture is decoded.
    pub(super) fn dimensions(&self) -> (u32, u32) {
        self.decoder.dimensions()
    }

    /// How the picture is stored, for people: `RGB`, `gray with transparency`, ...
    pub(super) fn mode(&self) -> String {
        let color = self.decoder.color_type();
        let base = if color.has_color() { "RGB" } else { "gray" };
        let alpha = if color.has_alpha() { " with transparency" } else { "" };
        let depth = match color.bits_per_pixel() / u16::from(color.channel_count()) {
            8 => String::new(),
            bits => format!(" of {bits} bits"),
        };
        format!("{base}{alpha}{depth}")
    }

    /// Whether the picture is stored with colours, whatever its pixels are.
    pub(super) fn has_color(&self) -> bool {
        self.decoder.color_type().has_color()
    }

    /// Whether it has several frames. Only the first is decoded.
    pub(super) fn is_animated(&self) -> bool {
        self.is_animated
    }

    /// Number of bytes that it takes to decode the picture and to fit it to `size`.
    pub(super) fn decoding_bytes(&self, size: usize) -> u64 {
        let (width, height) = self.decoder.dimensions();
        let decoded = self.decoder.total_bytes() + u64::from(width) * u64::from(height) * WORKING_BYTES;
        // The filter's rows are four f32 for each pixel.
        self.file_bytes + decoded + (self.side() * size * 16) as u64
    }

    /// Decodes the picture and turns it as its EXIF data say.
    ///
    /// # Errors
    ///
    /// If it is damaged.
    pub(super) fn decode(self) -> Attempt<DynamicImage> {
        let mut image = DynamicImage::from_decoder(self.decoder).map_err(|error| error.to_string())?;
        image.apply_orientation(self.orientation);
        Ok(image)
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot read it ({error})")
}

struct Opened {
    decoder: Box<dyn ImageDecoder>,
    orientation: Orientation,
    is_animated: bool,
}

fn open(mut file: Box<dyn Bytes>, length: u64, format: Option<ImageFormat>) -> Attempt<Opened> {
    let data = match format {
        Some(ImageFormat::Png) => complete::png(&mut file, length)?,
        Some(ImageFormat::WebP) => complete::webp(&mut file, length)?,
        _ => Metadata::default(),
    };
    let is_indexed = format == Some(ImageFormat::Png)
        && indexed::is_indexed(&mut *file).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let broken = |error: image::ImageError| error.to_string();
    let mut decoder: Box<dyn ImageDecoder> = match format {
        Some(ImageFormat::Jpeg) => Box::new(StrictJpeg::open(file)?),
        Some(ImageFormat::Png) if is_indexed => Box::new(Indexed::open(file, MAX_FILE_BYTES as usize)?),
        Some(ImageFormat::Png) => Box::new(StrictPng::open(file, MAX_FILE_BYTES as usize)?),
        Some(ImageFormat::WebP) => Box::new(WebPDecoder::new(file).map_err(broken)?),
        Some(other) => return Err(format!("its format is {other:?}, not PNG, JPEG or WebP")),
        None => return Err("its format is not PNG, JPEG or WebP".to_owned()),
    };
    // Metadata may follow the pixels, where the decoder of PNG does not look before it decodes. Damaged
    // metadata do not damage the picture.
    let is_read = format == Some(ImageFormat::WebP);
    let exif = data.exif.or_else(|| if is_read { None } else { decoder.exif_metadata().ok().flatten() });
    let orientation = exif.and_then(|exif| exif::orientation(&exif)).or_else(|| {
        let is_jpeg = format == Some(ImageFormat::Jpeg);
        let xmp = if is_jpeg { decoder.xmp_metadata().ok().flatten() } else { data.xmp };
        exif::xmp_orientation(&xmp?)
    });
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Opened { decoder, orientation, is_animated: data.is_animated })
}
