//! How a picture is turned, as its EXIF data say, or else its XMP data.

use std::io::Read;

use flate2::read::ZlibDecoder;
use image::metadata::Orientation;

/// EXIF and XMP data of more bytes than this are not read. A JPEG file cannot have more.
pub(super) const MAX_BYTES: u64 = 1 << 16;
/// JPEG files have this in front of EXIF data. Some programs write it into other files too.
const PREFIX: &[u8] = b"Exif\0\0";
/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// Types of a number of two and of four bytes.
const SHORT: u16 = 3;
const LONG: u16 = 4;
/// Text chunks of PNG files in which older versions of `ImageMagick` keep EXIF data, as hexadecimal
/// digits.
const PROFILES: [&[u8]; 2] = [b"Raw profile type exif", b"Raw profile type APP1"];

/// The name of the text chunk in which PNG files keep XMP data.
const XMP_CHUNK: &[u8] = b"XML:com.adobe.xmp";
/// JPEG files have this in front of XMP data.
pub(super) const XMP_PREFIX: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The property with the orientation. Its value follows as an attribute or as an element.
const XMP_ORIENTATION: &[u8] = b"tiff:Orientation";

/// The metadata of a picture that can say how it is turned, and whether it moves.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
    pub(super) is_animated: bool,
}

/// The orientation in XMP data, which are XML. `None` if there is none. Like Pillow, it takes the
/// first value that looks like one, without reading the XML.
pub(super) fn xmp_orientation(packet: &[u8]) -> Option<Orientation> {
    let value = |(at, found): (usize, &[u8])| {
        let rest = (found == XMP_ORIENTATION).then(|| &packet[at + found.len()..])?;
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        value.first().filter(|digit| digit.is_ascii_digit()).map(|digit| digit - b'0')
    };
    let value = packet.windows(XMP_ORIENTATION.len()).enumerate().find_map(value)?;
    Some(Orientation::from_exif(value).unwrap_or(Orientation::NoTransforms))
}

/// The orientation in EXIF data: a TIFF file (Exif 2.32, 4.5 and 4.6.4). `None` if there is none. An
/// unknown orientation turns nothing.
pub(super) fn orientation(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(PREFIX).unwrap_or(exif);
    let is_little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let number = |bytes: &[u8]| -> u64 {
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
    };
    let directory = tiff.get(usize::try_from(number(tiff.get(4..8)?)).ok()?..)?;
    let count = number(directory.get(..2)?) as usize;
    let entries = directory.get(2..)?.chunks_exact(12).take(count);
    let mut found = entries.filter(|entry| number(&entry[..2]) == u64::from(ORIENTATION));
    let entry = found.next()?;
    let value = match number(&entry[2..4]) as u16 {
        SHORT => number(&entry[8..10]),
        LONG => number(&entry[8..12]),
        _ => 0,
    };
    let known = u8::try_from(value).ok().and_then(Orientation::from_exif);
    Some(known.unwrap_or(Orientation::NoTransforms))
}

/// The EXIF data in the content of a PNG's text chunk `zTXt` or `tEXt`. `None` if it contains
/// something else.
pub(super) fn profile(is_compressed: bool, chunk: &[u8]) -> Option<Vec<u8>> {
    let name = chunk.split(|&byte| byte == 0).next()?;
    if !PROFILES.contains(&name) {
        return None;
    }
    let mut text = vec![];
    match chunk.get(name.len() + 1..)? {
        [0, packed @ ..] if is_compressed => {
            // Two digits a byte, and line breaks.
            ZlibDecoder::new(packed).take(3 * MAX_BYTES).read_to_end(&mut text).ok()?;
        }
        plain if !is_compressed => text.extend(plain),
        _ => return None,
    }
    // Two words come before the digits: the kind, and the number of bytes.
    let text = std::str::from_utf8(&text).ok()?;
    let digits: String = text.split_ascii_whitespace().skip(2).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks_exact(2).map(byte).collect()
}

/// The XMP data in the content of a PNG's text chunk `iTXt`. `None` if it contains something else.
pub(super) fn xmp(chunk: &[u8]) -> Option<Vec<u8>> {
    let rest = chunk.strip_prefix(XMP_CHUNK)?.strip_prefix(b"\0")?;
    let (&[is_compressed, _method], rest) = rest.split_first_chunk()?;
    // A language and a translated name come before the text. Each ends with a zero.
    let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
    if is_compressed == 0 {
        return Some(text.to_vec());
    }
    let mut inflated = vec![];
    ZlibDecoder::new(text).take(MAX_BYTES).read_to_end(&mut inflated).ok()?;
    Some(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF file with an orientation only.
    fn tiff(is_little: bool, kind: u16, value: u32) -> Vec<u8> {
        let short = |n: u16| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let value = if kind == SHORT { [short(value as u16), [0; 2]].concat() } else { long(value).to_vec() };
        let head = if is_little { b"II*\0" } else { b"MM\0*" };
        let entry = [&short(ORIENTATION)[..], &short(kind), &long(1), &value].concat();
        [&head[..], &long(8), &short(1), &entry].concat()
    }

    #[test]
    fn every_form_of_an_orientation_is_read() {
        for is_little in [true, false] {
            for kind in [SHORT, LONG] {
                for value in 1..=8 {
                    let expected = Orientation::from_exif(value as u8);
                    let exif = tiff(is_little, kind, value);
                    assert!(expected.is_some());
                    assert_eq!(orientation(&exif), expected);
                    assert_eq!(orientation(&[PREFIX, &exif].concat()), expected);
                    for length in 0..exif.len() {
                        assert!(length >= 22 || orientation(&exif[..length]).is_none());
                    }
                }
                assert_eq!(orientation(&tiff(is_little, kind, 9)), Some(Orientation::NoTransforms));
            }
        }
        assert_eq!(orientation(&tiff(true, 2, 6)), Some(Orientation::NoTransforms));
        let mut other = tiff(true, SHORT, 6);
        other[10] ^= 1;
        assert_eq!(orientation(&other), None);
    }

    #[test]
    fn both_forms_of_an_orientation_in_xmp_are_read() {
        for digit in 0..=9 {
            let expected = Some(Orientation::from_exif(digit).unwrap_or(Orientation::NoTransforms));
            for (before, after) in [("<a tiff:Orientation=\"", "\"/>"), ("<tiff:Orientation>", "</tiff:")] {
                let packet = format!("tiff:Orientation <tiff:Orientation/> {before}{digit}{after}");
                assert_eq!(xmp_orientation(packet.as_bytes()), expected);
                let end = packet.rfind(char::is_numeric).unwrap();
                assert_eq!(xmp_orientation(&packet.as_bytes()[..end]), None);
            }
        }
        assert_eq!(xmp_orientation(b"tiff:Orientation='6'"), None);
        assert_eq!(xmp_orientation(b"exif:Orientation=\"6\""), None);
        assert_eq!(xmp(b"XML:com.adobe.xmp\0\0\0en\0name\0<x/>\0").as_deref(), Some(&b"<x/>\0"[..]));
        for other in [&b"XML:com.adobe.xmp\0\0\0en\0"[..], b"XML:com.adobe.xmp\0\0", b"Comment\0\0\0\0\0x"] {
            assert_eq!(xmp(other), None);
        }
    }

    #[test]
    fn profiles_of_imagemagick_are_read() {
        use std::io::Write;
        let exif = [PREFIX, &tiff(false, SHORT, 6)].concat();
        let digits = exif.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let text = format!("\nexif\n {:7}\n{}\n{}\n", exif.len(), &digits[..20], &digits[20..]);
        let mut packed = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let [name, _] = PROFILES;
        let compressed = [name, b"\0\0", &packed].concat();
        assert_eq!(profile(true, &compressed).as_deref(), Some(&exif[..]));
        assert_eq!(profile(false, &[name, b"\0", text.as_bytes()].concat()).as_deref(), Some(&exif[..]));
        assert_eq!(profile(true, &[b"Comment\0\0", &packed[..]].concat()), None);
        assert_eq!(profile(true, &compressed[..compressed.len() - 9]), None);
        assert_eq!(profile(false, &[name, b"\0exif 1 zz"].concat()), None);
    }
}
