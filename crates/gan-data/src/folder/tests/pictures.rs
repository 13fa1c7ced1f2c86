//! Tests that a picture is read right, or refused.

use super::*;
use crate::folder::picture::Picture;
use image::DynamicImage;

/// EXIF data that say nothing but the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
    [&b"II*\0\x08\0\0\0"[..], &entry].concat()
}

fn jpeg_with_exif(exif: &[u8]) -> Vec<u8> {
    let plain = photograph("jpg");
    let length = (2 + 6 + exif.len() as u16).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, b"Exif\0\0", exif, &plain[2..]].concat()
}

fn png_chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(&kind);
    checksum.update(content);
    [&(content.len() as u32).to_be_bytes()[..], &kind, content, &checksum.sum().to_be_bytes()].concat()
}

/// EXIF data before the pixels, or after them.
fn png_with_exif(exif: &[u8], before_pixels: bool) -> Vec<u8> {
    let plain = photograph("png");
    // The signature and the first chunk have 33 bytes, the last chunk has 12.
    let at = if before_pixels { 33 } else { plain.len() - 12 };
    [&plain[..at], &png_chunk(*b"eXIf", exif), &plain[at..]].concat()
}

fn webp_with_exif(exif: &[u8]) -> Vec<u8> {
    let plain = photograph("webp");
    let chunk = |kind: &[u8], content: &[u8]| {
        [kind, &(content.len() as u32).to_le_bytes(), content, &[0][..content.len() % 2]].concat()
    };
    // The extended header: the flag of EXIF data, and width and height less 1.
    let extended = chunk(b"VP8X", &[8, 0, 0, 0, 63, 0, 0, 63, 0, 0]);
    let content = [b"WEBP", &extended[..], &plain[12..], &chunk(b"EXIF", exif)].concat();
    [b"RIFF", &(content.len() as u32).to_le_bytes()[..], &content].concat()
}

#[test]
fn animated_pictures_are_counted() {
    let (png, webp) = (photograph("png"), photograph("webp"));
    // The number of frames, and the number of repetitions.
    let control = png_chunk(*b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]);
    let moving = [&png[..33], &control, &png[33..]].concat();
    let loops = [&b"ANIM"[..], &6_u32.to_le_bytes(), &[0; 6]].concat();
    let content = [&webp[8..], &loops].concat();
    let film = [&b"RIFF"[..], &(content.len() as u32).to_le_bytes(), &content].concat();
    let dir = folder(&[("a.png", &moving), ("b.png", &png), ("c.webp", &film), ("d.webp", &webp)]);
    assert_eq!(survey(dir.path()).unwrap().animated(), 2);
}

#[test]
fn the_centre_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let wide = GrayImage::from_fn(8, 4, |x, y| Luma([(x * 10 + y) as u8]));
    wide.save(dir.path().join("wide.png")).unwrap();
    let data = load(dir.path(), 4, 1).unwrap();
    let expected: Vec<u8> = (0..16).map(|n| (n % 4 + 2) * 10 + n / 4).collect();
    assert_eq!(data.image(0), expected);
}

#[test]
fn images_of_16_bits_lose_the_lower_8() {
    let dir = tempfile::tempdir().unwrap();
    let deep = image::ImageBuffer::from_fn(4, 4, |x, y| Luma([(x * 4 + y) as u16 * 257]));
    DynamicImage::ImageLuma16(deep).save(dir.path().join("a.png")).unwrap();
    let expected: Vec<u8> = (0..16).map(|n| n % 4 * 4 + n / 4).collect();
    assert_eq!(load(dir.path(), 4, 1).unwrap().image(0), expected);
}

/// A PNG file of 5x2 pixels with a palette: red, half-transparent green, and blue.
fn png_with_palette(bits: u8, indices: [u8; 10]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, 5, 2);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::from_u8(bits).unwrap());
    encoder.set_palette(&[255, 0, 0, 0, 255, 0, 0, 0, 255][..]);
    encoder.set_trns(&[255, 128][..]);
    let mut writer = encoder.write_header().unwrap();
    let pack = |row: &[u8]| {
        let mut packed = vec![0; (row.len() * usize::from(bits)).div_ceil(8)];
        for (x, index) in row.iter().enumerate() {
            let at = x * usize::from(bits);
            packed[at / 8] |= index << (8 - bits as usize - at % 8);
        }
        packed
    };
    writer.write_image_data(&indices.chunks(5).flat_map(pack).collect::<Vec<u8>>()).unwrap();
    drop(writer);
    bytes
}

#[test]
fn a_damaged_transparency_is_an_error() {
    let palette = png_with_palette(8, [0, 1, 2, 1, 0, 2, 2, 1, 0, 0]);
    let gray = {
        let plain = photograph("png");
        [&plain[..33], &png_chunk(*b"tRNS", &[0, 7]), &plain[33..]].concat()
    };
    for whole in [palette, gray] {
        assert!(Picture::of_bytes(whole.clone()).is_ok());
        let name = whole.windows(4).position(|bytes| bytes == b"tRNS").unwrap();
        // The name, the first byte of the content, and the checksum.
        for damaged in [name + 2, name + 4, name + 6] {
            let mut bytes = whole.clone();
            bytes[damaged] ^= 1;
            let error = load_error(folder(&[("a.png", &bytes)]).path());
            assert!(error.contains("it is damaged: the checksum of its part tR"), "{error}");
        }
    }
}

/// The chunks' own checksums are right, as a faulty encoder writes them.
#[test]
fn a_wrong_checksum_of_the_pixels_is_an_error() {
    for whole in [photograph("png"), png_with_palette(8, [0, 1, 2, 1, 0, 2, 2, 1, 0, 0])] {
        let name = whole.windows(4).position(|bytes| bytes == b"IDAT").unwrap();
        let length = u32::from_be_bytes(whole[name - 4..name].try_into().unwrap()) as usize;
        let (start, end) = (name - 4, name + 4 + length + 4);
        let mut pixels = whole[name + 4..][..length].to_vec();
        let with = |pixels: &[u8]| [&whole[..start], &png_chunk(*b"IDAT", pixels), &whole[end..]].concat();
        assert!(with(&pixels) == whole);
        // The last four bytes are the checksum of the pixels before their compression.
        pixels[length - 1] ^= 1;
        let error = load_error(folder(&[("a.png", &with(&pixels))]).path());
        assert!(error.contains("Corrupt") || error.contains("checksum"), "{error}");
    }
}

#[test]
fn pixels_beyond_the_palette_are_an_error() {
    let whole = [0, 1, 2, 1, 0, 2, 2, 1, 0, 0];
    for bits in [2, 4, 8] {
        let picture = Picture::of_bytes(png_with_palette(bits, whole)).unwrap();
        let colors = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 255]];
        let expected: Vec<u8> = whole.iter().flat_map(|&index| colors[usize::from(index)]).collect();
        assert_eq!(picture.decode().unwrap().into_rgba8().into_raw(), expected, "{bits} bits");
        let mut beyond = whole;
        beyond[7] = 3;
        let dir = folder(&[("a.png", &png_with_palette(bits, beyond))]);
        let error = load_error(dir.path());
        assert!(error.contains("a.png: ") && error.contains("the colour 3 of a palette of 3"), "{error}");
    }
}

/// Pillow 13.0 wrote the files: 16x16, in quarters of one colour. The Adobe marker of some was removed
/// or changed. The colours are those of Pillow's `convert("RGB")`, over black where transparent.
#[test]
fn colours_of_every_kind_are_those_of_pillow() {
    let ink = [[255, 255, 255], [55, 225, 245], [207, 63, 139], [55, 55, 55]];
    let light = [[250, 10, 20], [30, 240, 40], [50, 60, 230], [70, 80, 90]];
    for (bytes, expected, mode) in [
        (&include_bytes!("modes/cmyk-adobe.jpg")[..], ink, "RGB"),
        (include_bytes!("modes/cmyk.jpg"), ink, "RGB"),
        (include_bytes!("modes/ycck.jpg"), [[0, 134, 0], [36, 255, 28], [0, 15, 88], [0, 29, 0]], "RGB"),
        (include_bytes!("modes/palette.png"), light, "RGB"),
        (include_bytes!("modes/palette-1-bit.png"), [light[0], light[1], light[1], light[0]], "RGB"),
        (
            include_bytes!("modes/palette-transparent.png"),
            [[0; 3], light[1], light[2], light[3]],
            "RGB with transparency",
        ),
        (include_bytes!("modes/rgb-16.png"), light, "RGB of 16 bits"),
    ] {
        // The content decides the format.
        let dir = folder(&[("a.png", bytes)]);
        let survey = survey(dir.path()).unwrap();
        assert_eq!((survey.modes(), survey.channels()), (format!("1 {mode}"), 3));
        let data = load(dir.path(), 16, 3).unwrap();
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|channel| data.image(0)[(channel * 16 + y) * 16 + x]);
        let found = [pixel(3, 3), pixel(12, 3), pixel(3, 12), pixel(12, 12)];
        // Decoders of JPEG may differ by one.
        let near = found.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= 1);
        assert!(near, "{mode}: {found:?}, not {expected:?}");
    }
}

#[test]
fn files_that_are_cut_off_are_never_filled_up() {
    for extension in ["jpg", "png", "webp"] {
        let whole = photograph(extension);
        for length in [1, 20, whole.len() / 4, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 1] {
            let dir = folder(&[("a.jpg", &whole[..length])]);
            let error = load_error(dir.path());
            assert!(
                error.contains("1 of 1 pictures cannot be used: a.jpg: "),
                "{extension} {length}: {error}"
            );
            if length > 32 {
                assert!(
                    error.contains(&format!("it is cut off: the file ends after {length} bytes")),
                    "{error}"
                );
            }
        }
        // Cameras and editors append their own data.
        let dir = folder(&[("a.jpg", &whole), ("b.jpg", &[&whole[..], b"more", &[0; 99]].concat())]);
        let data = load(dir.path(), 64, 3).unwrap();
        assert_eq!(data.image(0), data.image(1), "{extension}");
        assert_eq!(data.source(), format!("2 images in {}", dir.path().display()));
    }
}

#[test]
fn an_end_marker_behind_a_part_of_a_jpeg_does_not_make_it_whole() {
    let whole = photograph("jpg");
    assert_eq!(load(folder(&[("a.jpg", &whole)]).path(), 64, 3).unwrap().len(), 1);
    // The compressed data begin behind the header of the scan. The last byte before the marker may
    // hold nothing but bits that fill it.
    let scan = whole.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap() + 14;
    for length in (scan..whole.len() - 4).step_by(7) {
        let part = &whole[..length];
        // A part that ends between 0xff and its 0 would get another marker.
        let part = part.strip_suffix(b"\xff").unwrap_or(part);
        let error = load_error(folder(&[("a.jpg", &[part, &[0xff, 0xd9]].concat())]).path());
        let expected = "1 of 1 pictures cannot be used: a.jpg: ";
        assert!(
            error.contains(expected) && error.contains("the compressed data are cut off or damaged ("),
            "{length} of {}: {error}",
            whole.len()
        );
    }
}

#[test]
fn a_progressive_jpeg_without_its_last_scans_is_cut_off() {
    // 16x16 RGB in ten scans, written by Pillow.
    let whole = include_bytes!("progressive.jpg");
    assert_eq!(load(folder(&[("a.jpg", whole)]).path(), 16, 3).unwrap().len(), 1);
    let scans = whole.windows(2).enumerate().filter(|(_, marker)| *marker == [0xff, 0xda]);
    let scans: Vec<usize> = scans.map(|(place, _)| place).collect();
    assert_eq!(scans.len(), 10);
    // The last scan only brings the lowest bits.
    for length in scans[0] + 14..=scans[9] {
        let part = whole[..length].strip_suffix(b"\xff").unwrap_or(&whole[..length]);
        let error = load_error(folder(&[("a.jpg", &[part, &[0xff, 0xd9]].concat())]).path());
        assert!(error.contains("a.jpg: it is cut off: the file ends after "), "{length}: {error}");
    }
}

#[test]
fn kinds_of_jpeg_that_cannot_be_decoded_are_named() {
    let whole = photograph("jpg");
    let at = whole.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    for (marker, problem) in [
        (0xc3, "it is compressed without loss"),
        (0xc9, "its code is arithmetic"),
        (0xc6, "it is hierarchical"),
    ] {
        let mut other = whole.clone();
        other[at + 1] = marker;
        let error = load_error(folder(&[("a.jpg", &other)]).path());
        assert!(error.contains(&format!("this kind of JPEG cannot be read: {problem}")), "{error}");
    }
}

#[test]
fn jpegs_that_the_decoder_reads_as_other_pictures_are_refused() {
    // 16x16, written for this test. The decoder reads all of them without an error.
    let kind = "this kind of JPEG cannot be read: ";
    let cut_off = "it is cut off: the file ends after ";
    for (bytes, problem) in [
        (&include_bytes!("jpeg/interleaved.jpg")[..], None),
        (include_bytes!("jpeg/separate-scans.jpg"), Some([kind, "its components are in separate scans"])),
        (include_bytes!("jpeg/finer-colours.jpg"), Some([kind, "its colours are sampled more finely"])),
        (include_bytes!("jpeg/jfif-and-rgb.jpg"), Some([kind, "its markers contradict each other"])),
        (include_bytes!("jpeg/four-of-three.jpg"), Some([kind, "its markers contradict each other"])),
        (include_bytes!("jpeg/one-of-three-scans.jpg"), Some([cut_off, "752 bytes"])),
        (include_bytes!("jpeg/two-of-three-scans.jpg"), Some([cut_off, "968 bytes"])),
    ] {
        let dir = folder(&[("a.jpg", bytes)]);
        match problem {
            Some(parts) => {
                let error = load_error(dir.path());
                assert!(error.contains(&format!("a.jpg: {}", parts.concat())), "{error}");
            }
            None => assert_eq!(load(dir.path(), 16, 3).unwrap().len(), 1),
        }
    }
}

#[test]
fn damage_inside_a_jpeg_is_not_painted_gray() {
    let mut damaged = photograph("jpg");
    // The last half of the file is compressed data, in which such a marker does not occur.
    let at = damaged.len() * 3 / 4;
    damaged[at..at + 2].copy_from_slice(&[0xff, 0xc5]);
    let error = load_error(folder(&[("a.jpg", &damaged)]).path());
    assert!(error.contains("a.jpg: "), "{error}");
}

#[test]
fn pictures_are_turned_as_their_exif_data_say() {
    let plain = load(folder(&[("a.png", &photograph("png"))]).path(), 64, 3).unwrap();
    // Red is above. A turn by 180 degrees moves it below, one by 90 to the right.
    let red = |data: &Dataset, x: usize, y: usize| data.image(0)[y * 64 + x] > 128;
    assert!(red(&plain, 5, 20) && red(&plain, 60, 20) && !red(&plain, 5, 50));
    for orientation in [1, 3, 6, 8] {
        let exif = exif(orientation);
        for (what, bytes) in [
            ("jpeg", jpeg_with_exif(&exif)),
            ("png", png_with_exif(&exif, true)),
            ("late png", png_with_exif(&exif, false)),
            ("webp", webp_with_exif(&exif)),
        ] {
            let data = load(folder(&[("a.webp", &bytes)]).path(), 64, 3).unwrap();
            let corners = [red(&data, 5, 5), red(&data, 58, 5), red(&data, 5, 58), red(&data, 58, 58)];
            let expected = match orientation {
                3 => [false, false, true, true],
                6 => [false, true, false, true],
                8 => [true, false, true, false],
                _ => [true, true, false, false],
            };
            assert_eq!(corners, expected, "{what} {orientation}");
        }
    }
}

/// The pictures were written by Pillow 13.0. Their upper half is red. Of the two forms, the attribute
/// says 6 and the element 8. `ImageOps.exif_transpose` of Pillow gives the same corners.
#[test]
fn pictures_of_pillow_are_turned_as_their_xmp_data_say() {
    let (six, eight, three) = ([0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 1, 1]);
    for (name, bytes, expected) in [
        ("attribute.png", &include_bytes!("xmp-attribute.png")[..], six),
        ("compressed attribute.png", include_bytes!("xmp-attribute-zip.png"), six),
        ("attribute.jpg", include_bytes!("xmp-attribute.jpg"), six),
        ("attribute.webp", include_bytes!("xmp-attribute.webp"), six),
        ("element.png", include_bytes!("xmp-element.png"), eight),
        ("compressed element.png", include_bytes!("xmp-element-zip.png"), eight),
        ("element.jpg", include_bytes!("xmp-element.jpg"), eight),
        ("element.webp", include_bytes!("xmp-element.webp"), eight),
        ("with EXIF data, which say 3", include_bytes!("xmp-and-exif.jpg"), three),
    ] {
        let data = load(folder(&[("a.png", bytes)]).path(), 16, 3).unwrap();
        let red = |[x, y]: [usize; 2]| u8::from(data.image(0)[y * 16 + x] > 128);
        assert_eq!([[1, 1], [14, 1], [1, 14], [14, 14]].map(red), expected, "{name}");
    }
}

#[test]
fn the_content_decides_the_format() {
    let (jpeg, webp) = (photograph("jpg"), photograph("webp"));
    let dir = folder(&[("a.jfif", &jpeg), ("b.WEBP", &webp), ("c.png", &webp), ("d.jpeg", &jpeg)]);
    let data = load(dir.path(), 64, 3).unwrap();
    assert_eq!((data.len(), data.image(0) == data.image(3), data.image(1) == data.image(2)), (4, true, true));
    let error = load_error(folder(&[("a.png", b"GIF89a...........")]).path());
    assert!(error.contains("a.png: its format is Gif, not PNG, JPEG or WebP"), "{error}");
    assert!(load_error(folder(&[("a.png", b"")]).path()).contains("a.png: it is empty"));
}

#[test]
fn pictures_beyond_the_limits_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // The header alone announces the size. No pixels are needed to refuse it.
    let header = [&16_384_u32.to_be_bytes()[..], &16_384_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let chunks = [png_chunk(*b"IHDR", &header), png_chunk(*b"IDAT", &[0x78, 1]), png_chunk(*b"IEND", &[])];
    std::fs::write(dir.path().join("a.png"), [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()).unwrap();
    let error = load_error(dir.path());
    assert!(
        error.ends_with("a.png: it announces 16384x16384 pixels; at most 67108864 (8192x8192)"),
        "{error}"
    );
    // A file can be large without content.
    let large = std::fs::File::create(dir.path().join("a.png")).unwrap();
    large.set_len((512 << 20) + 1).unwrap();
    let error = load_error(dir.path());
    assert!(error.ends_with("a.png: it has 536870913 bytes; at most 536870912"), "{error}");

    // The size of the data set is known before the first picture is read.
    for n in 0..86 {
        std::fs::write(dir.path().join(format!("{n}.png")), "").unwrap();
    }
    let error = load(dir.path(), 4096, 3).unwrap_err().to_string();
    assert_eq!(
        error,
        "size: expected data of at most 4 GiB in memory, found 87 images of 3x4096x4096, 4.08 GiB"
    );
}

#[test]
fn decoding_takes_a_known_number_of_bytes() {
    let dir = folder(&[("a.png", &photograph("png"))]);
    let path = dir.path().join("a.png");
    let length = std::fs::metadata(&path).unwrap().len();
    let bytes = Picture::open(&path).unwrap().decoding_bytes(8);
    assert_eq!(bytes, length + 64 * 64 * (3 + 8) + 64 * 8 * 16);
}

#[test]
fn what_a_webp_file_announces_is_not_allocated() {
    // The last chunk announces EXIF data of 2 GB.
    let plain = webp_with_exif(&exif(6));
    let at = plain.windows(4).position(|kind| kind == b"EXIF").unwrap();
    let mut damaged = plain.clone();
    damaged[at + 4..at + 8].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    let turned = load(folder(&[("a.webp", &plain)]).path(), 64, 3).unwrap();
    let straight = load(folder(&[("a.webp", &photograph("webp"))]).path(), 64, 3).unwrap();
    let found = load(folder(&[("a.webp", &damaged)]).path(), 64, 3).unwrap();
    assert!(found.image(0) == straight.image(0) && found.image(0) != turned.image(0));
}
