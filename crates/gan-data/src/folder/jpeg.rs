//! Decodes JPEG files strictly. The decoder of the crate `image` is lenient: it fills what is
//! missing or damaged with gray.

mod scans;
mod unreadable;

use std::io::{Read, Seek, SeekFrom};

use image::error::{DecodingError, ImageError, ImageFormatHint, ImageResult};
use image::{ColorType, ImageDecoder, ImageFormat};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::complete::cut_off;
use super::exif::{Metadata, XMP_PREFIX};
use super::picture::{Attempt, Bytes};
use scans::Scans;
use unreadable::Features;

/// The bytes after 0xff that start each part of a file.
mod marker {
    pub(super) const TEM: u8 = 0x01;
    pub(super) const SOF0: u8 = 0xc0;
    /// Progressive frames, with Huffman's or arithmetic codes.
    pub(super) const PROGRESSIVE: [u8; 2] = [0xc2, 0xca];
    pub(super) const SOF15: u8 = 0xcf;
    /// Three markers among the frames' that start no frame.
    pub(super) const NO_FRAME: [u8; 3] = [0xc4, 0xc8, 0xcc];
    pub(super) const RST0: u8 = 0xd0;
    pub(super) const RST7: u8 = 0xd7;
    pub(super) const SOI: u8 = 0xd8;
    pub(super) const EOI: u8 = 0xd9;
    pub(super) const SOS: u8 = 0xda;
    pub(super) const APP0: u8 = 0xe0;
    pub(super) const APP1: u8 = 0xe1;
    pub(super) const APP14: u8 = 0xee;
}

/// APP1 starts with this if it contains EXIF data. XMP uses APP1 too.
const EXIF: &[u8] = b"Exif\0\0";

/// The end marker.
const END: [u8; 2] = [0xff, marker::EOI];

/// Compressed data of 48 bits, each of which is 1. No code consists of ones (ITU-T T.81, annex C),
/// so a decoder that reads as far as these bits finds an error. The last value before them has at
/// most 15 bits of a code and 16 bits of a number, and 16 bits are left for the error.
const NO_CODE: [u8; 12] = [0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0];

/// A JPEG file that has all its parts.
pub(super) struct StrictJpeg {
    file: Box<dyn Bytes>,
    /// Place of the end marker.
    end: u64,
    frame: Frame,
    metadata: Metadata,
}

/// What the file's header says about the picture.
#[derive(Clone, Copy)]
struct Frame {
    width: u16,
    height: u16,
    components: u8,
}

impl StrictJpeg {
    /// Reads the structure of a file from its start to its end marker. What follows is ignored.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no JPEG file, or ends before the marker.
    pub(super) fn open(mut file: Box<dyn Bytes>) -> Attempt<Self> {
        let parts = parts(&mut *file);
        let length = file.stream_position().unwrap_or_default();
        let (frame, metadata, features) = match parts {
            Ok(parts) => parts,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let end = file.seek(SeekFrom::End(0)).unwrap_or(length);
                return Err(cut_off(end));
            }
            Err(error) => return Err(error.to_string()),
        };
        let frame = frame.ok_or("the JPEG file contains no picture")?;
        if let Some(problem) = features.problem() {
            return Err(format!("this kind of JPEG cannot be read: {problem} (save it again)"));
        }
        Ok(Self { file, end: length - END.len() as u64, frame, metadata })
    }

    fn color_space(&self) -> ColorSpace {
        if self.frame.components == 1 { ColorSpace::Luma } else { ColorSpace::RGB }
    }
}

/// The frame, the metadata and the features of a file that is complete.
fn parts(file: &mut dyn Bytes) -> std::io::Result<(Option<Frame>, Metadata, Features)> {
    let (mut frame, mut found, mut scans) = (None, Metadata::default(), None::<Scans>);
    let mut features = Features::default();
    loop {
        let marker = next_marker(file)?;
        if marker == marker::EOI {
            if scans.is_some_and(|scans| !scans.are_all()) {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            return Ok((frame, found, features));
        }
        if matches!(marker, marker::TEM | marker::SOI | marker::RST0..=marker::RST7) {
            continue;
        }
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        let length = u16::from_be_bytes(length).saturating_sub(2);
        let is_frame =
            (marker::SOF0..=marker::SOF15).contains(&marker) && !marker::NO_FRAME.contains(&marker);
        let is_read = [marker::APP0, marker::APP1, marker::APP14, marker::SOS].contains(&marker);
        if !is_frame && !is_read {
            file.seek_relative(i64::from(length))?;
            continue;
        }
        let mut content = vec![0; length.into()];
        file.read_exact(&mut content)?;
        if [marker::APP0, marker::APP14].contains(&marker) {
            features.add_application(&content);
        } else if marker == marker::SOS {
            features.add_scan();
            if let Some(scans) = &mut scans {
                scans.add(&content);
            }
        } else if marker == marker::APP1 {
            let after = |prefix: &[u8]| content.strip_prefix(prefix).map(<[u8]>::to_vec);
            found.exif = found.exif.or_else(|| after(EXIF));
            found.xmp = after(XMP_PREFIX).or(found.xmp);
        } else if let (None, &[_, top, bottom, left, right, components, ..]) = (frame, &content[..]) {
            let [height, width] = [[top, bottom], [left, right]].map(u16::from_be_bytes);
            frame = Some(Frame { width, height, components });
            let is_progressive = marker::PROGRESSIVE.contains(&marker);
            scans = Some(Scans::none(&content, is_progressive));
            features.add_frame(&content, marker);
        }
    }
}

/// Skips compressed data up to the next marker, and reads the marker.
fn next_marker(file: &mut dyn Bytes) -> std::io::Result<u8> {
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let start = buffer.iter().position(|&byte| byte == 0xff);
        let skipped = start.map_or(buffer.len(), |start| start + 1);
        file.consume(skipped);
        if start.is_none() {
            continue;
        }
        let mut byte = [0xff];
        // Any number of 0xff may come before a marker.
        while byte == [0xff] {
            file.read_exact(&mut byte)?;
        }
        // In compressed data, a zero after 0xff says that this is no marker.
        if byte != [0] {
            return Ok(byte[0]);
        }
    }
}

impl ImageDecoder for StrictJpeg {
    fn dimensions(&self) -> (u32, u32) {
        (self.frame.width.into(), self.frame.height.into())
    }

    fn color_type(&self) -> ColorType {
        if self.frame.components == 1 { ColorType::L8 } else { ColorType::Rgb8 }
    }

    fn exif_metadata(&mut self) -> ImageResult<Option<Vec<u8>>> {
        Ok(self.metadata.exif.clone())
    }

    fn xmp_metadata(&mut self) -> ImageResult<Option<Vec<u8>>> {
        Ok(self.metadata.xmp.clone())
    }

    fn read_image(mut self, buf: &mut [u8]) -> ImageResult<()> {
        let mut bytes = vec![];
        self.file.seek(SeekFrom::Start(0))?;
        self.file.by_ref().take(self.end).read_to_end(&mut bytes)?;
        // After an end marker the decoder reads zeros, and makes something gray of them. If a tool
        // has put the marker behind a part of a file, it finds no code now.
        bytes.extend(NO_CODE.into_iter().chain(END));
        // Headers are read leniently, because many writers put bytes between them. They must
        // announce the same picture as before. The compressed data are read strictly.
        let lenient = DecoderOptions::default()
            .set_max_width(usize::MAX)
            .set_max_height(usize::MAX)
            .set_strict_mode(false)
            .jpeg_set_out_colorspace(self.color_space());
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), lenient);
        decoder.decode_headers().map_err(broken)?;
        let dimensions = [self.frame.width, self.frame.height].map(usize::from);
        if decoder.dimensions() != Some(dimensions.into()) || decoder.output_buffer_size() != Some(buf.len())
        {
            return Err(broken("the file announces two different sizes"));
        }
        decoder.set_options(lenient.set_strict_mode(true));
        let damaged = |error| broken(format!("the compressed data are cut off or damaged ({error})"));
        decoder.decode_into(buf).map_err(damaged)
    }

    fn read_image_boxed(self: Box<Self>, buf: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buf)
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Jpeg), error))
}
