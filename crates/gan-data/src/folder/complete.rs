//! Checks by a file's structure that it is not cut off. Decoders accept some cut files silently and
//! fill the missing part with gray or black.

use std::io::{Read, Seek, SeekFrom};

use flate2::CrcWriter;

use super::exif;
use super::picture::Attempt;

/// Checks that a PNG file has all its chunks, up to the last (`IEND`), and that no chunk before the
/// pixels is damaged. Returns its metadata.
///
/// The decoder checks the chunks without which there is no picture. It passes over other chunks that
/// are damaged, without an error. One of them is the transparency.
///
/// # Errors
///
/// If the file ends before that, or a checksum is wrong.
pub(super) fn png(file: &mut (impl Read + Seek), length: u64) -> Attempt<exif::Metadata> {
    let mut found = exif::Metadata::default();
    let mut at = 8;
    let mut is_before_pixels = true;
    loop {
        let mut header = [0; 8];
        file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        file.read_exact(&mut header).map_err(|_| cut_off(length))?;
        let [a, b, c, d, kind @ ..] = header;
        let bytes = u64::from(u32::from_be_bytes([a, b, c, d]));
        // A length, a kind, the content, and a checksum.
        at += 12 + bytes;
        if at > length {
            return Err(cut_off(length));
        }
        is_before_pixels &= &kind != b"IDAT";
        // The first letter of a chunk that a decoder may pass over is small.
        if is_before_pixels && kind[0].is_ascii_lowercase() {
            check(file, kind, bytes)?;
            file.seek(SeekFrom::Start(at - 4 - bytes)).map_err(|error| error.to_string())?;
        }
        match &kind {
            b"IEND" => return Ok(found),
            b"acTL" => found.is_animated = true,
            b"eXIf" | b"zTXt" | b"tEXt" | b"iTXt" if bytes <= exif::MAX_BYTES => {
                let mut content = vec![0; bytes as usize];
                file.read_exact(&mut content).map_err(|_| cut_off(length))?;
                match &kind {
                    b"eXIf" => found.exif = Some(content),
                    b"iTXt" => found.xmp = exif::xmp(&content).or(found.xmp),
                    _ => found.exif = found.exif.or_else(|| exif::profile(&kind == b"zTXt", &content)),
                }
            }
            _ => {}
        }
    }
}

/// Reads the content of a chunk, of `bytes` bytes, and compares the checksum that follows.
fn check(file: &mut impl Read, kind: [u8; 4], bytes: u64) -> Attempt<()> {
    let mut content = CrcWriter::new(std::io::sink());
    let mut expected = [0; 4];
    std::io::copy(&mut (&kind[..]).chain(file.take(bytes)), &mut content)
        .and_then(|_| file.read_exact(&mut expected))
        .map_err(|error| error.to_string())?;
    if content.crc().sum() != u32::from_be_bytes(expected) {
        return Err(format!("it is damaged: the checksum of its part {} is wrong", kind.escape_ascii()));
    }
    Ok(())
}

/// Checks that a WebP file is as long as its header announces. Returns its metadata. The decoder is
/// not asked for them, because it allocates as much memory as a damaged file announces.
///
/// # Errors
///
/// If it is shorter.
pub(super) fn webp(file: &mut (impl Read + Seek), length: u64) -> Attempt<exif::Metadata> {
    let mut header = [0; 8];
    file.read_exact(&mut header).map_err(|_| cut_off(length))?;
    let [_, _, _, _, size @ ..] = header;
    let end = 8 + u64::from(u32::from_le_bytes(size));
    if length < end {
        return Err(cut_off(length));
    }
    let mut found = exif::Metadata::default();
    // The name of the format comes before the chunks.
    let mut at = 12;
    while at + 8 <= end {
        file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        file.read_exact(&mut header).map_err(|_| cut_off(length))?;
        let [a, b, c, d, size @ ..] = header;
        let size = u64::from(u32::from_le_bytes(size));
        let kind = [a, b, c, d];
        found.is_animated |= &kind == b"ANIM";
        if (&kind == b"EXIF" || &kind == b"XMP ") && at + 8 + size <= end {
            let mut content = vec![0; size as usize];
            file.read_exact(&mut content).map_err(|_| cut_off(length))?;
            *if &kind == b"EXIF" { &mut found.exif } else { &mut found.xmp } = Some(content);
        }
        // A chunk has an even number of bytes.
        at += 8 + size.next_multiple_of(2);
    }
    Ok(found)
}

/// The error for a file that ends too early, after `length` bytes.
pub(super) fn cut_off(length: u64) -> String {
    format!("it is cut off: the file ends after {length} bytes, before the end of the picture")
}
