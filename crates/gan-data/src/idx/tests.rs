//! Written files are read back equal, and each kind of damage gives its own error.

use std::io::{self, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;

use super::*;

fn source() -> &'static Path {
    Path::new("some-file")
}

fn image_file(dimensions: [u32; 3], payload: &[u8]) -> Vec<u8> {
    let mut bytes = IMAGES_MAGIC.to_be_bytes().to_vec();
    bytes.extend(dimensions.iter().flat_map(|dimension| dimension.to_be_bytes()));
    bytes.extend(payload);
    bytes
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The error of `bytes` as an image file. Each error must name its file.
fn image_error(bytes: &[u8]) -> DataError {
    let error = parse_images(bytes, source()).unwrap_err();
    assert!(error.to_string().starts_with("some-file: "), "{error}");
    error
}

fn temporary(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn raw_and_gzip_are_told_apart_by_content() {
    let raw = image_file([2, 1, 3], &[1, 2, 3, 4, 5, 6]);
    let expected = IdxImages { count: 2, rows: 1, cols: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
    assert_eq!(parse_images(&raw, source()).unwrap(), expected);
    assert_eq!(parse_images(&gzip(&raw), source()).unwrap(), expected);
    let (_dir, path) = temporary("no-extension", &gzip(&raw));
    assert_eq!(read_images(path).unwrap(), expected);
}

#[test]
fn written_files_come_back_and_are_reproducible() {
    let dir = tempfile::tempdir().unwrap();
    let images = IdxImages { count: 3, rows: 2, cols: 5, pixels: (0..30).collect() };
    let path = dir.path().join("images.gz");
    write_images_gz(&path, &images).unwrap();
    assert_eq!(read_images(&path).unwrap(), images);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[4..8], [0; 4], "the time stamp of the gzip header");
    write_images_gz(&path, &images).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);

    let path = dir.path().join("labels.gz");
    write_labels_gz(&path, &[3, 1, 200]).unwrap();
    assert_eq!(read_labels(&path).unwrap(), [3, 1, 200]);

    let error = write_images_gz(&path, &IdxImages { count: 4, ..images }).unwrap_err().to_string();
    assert!(error.contains("found 30 bytes"), "{error}");
}

#[test]
fn a_label_file_is_no_image_file() {
    let labels = [&LABELS_MAGIC.to_be_bytes()[..], &[0, 0, 0, 1, 7]].concat();
    assert_eq!(
        image_error(&labels).to_string(),
        "some-file: expected an IDX image file (magic 0x00000803), found an IDX label file (magic 0x00000801)"
    );
    let images = image_file([1, 1, 1], &[0]);
    assert!(matches!(
        parse_labels(&images, source()),
        Err(DataError::Magic { expected: LABELS_MAGIC, found: IMAGES_MAGIC, .. })
    ));
    assert!(
        image_error(b"\x89PNG\r\n\x1a\n")
            .to_string()
            .contains("found no IDX file of bytes (magic 0x89504e47)")
    );
}

#[test]
fn truncated_files_say_how_much_is_missing() {
    let whole = image_file([2, 2, 2], &[9; 8]);
    for (length, expected) in [(0, 16), (3, 16), (4, 16), (15, 16), (16, 24), (23, 24)] {
        for bytes in [whole[..length].to_vec(), gzip(&whole[..length])] {
            let error = image_error(&bytes);
            let DataError::Truncated { expected: announced, found, .. } = error else { panic!("{error}") };
            assert_eq!((announced, found), (expected, length as u64));
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let long = image_file([2, 2, 2], &[9; 9]);
    for bytes in [long.clone(), gzip(&long)] {
        assert_eq!(
            image_error(&bytes).to_string(),
            "some-file: trailing bytes: expected 24 bytes, found more"
        );
    }
}

#[test]
fn gzip_streams_follow_each_other_and_zeros_follow_them() {
    let whole = image_file([2, 2, 2], &[9; 8]);
    let (first, second) = whole.split_at(11);
    let zeros = |count| vec![0; count];
    for members in [
        vec![gzip(&whole)],
        vec![gzip(first), gzip(second)],
        vec![gzip(first), gzip(&[]), gzip(second), gzip(&[])],
        vec![gzip(&whole), zeros(1)],
        vec![gzip(first), gzip(second), zeros(100_000)],
    ] {
        assert_eq!(parse_images(&members.concat(), source()).unwrap().pixels, [9; 8]);
    }
    for (rest, said) in [
        (b"garbage".to_vec(), "7 bytes after"),
        (b"x".to_vec(), "1 byte after"),
        (b"\x1f".to_vec(), "1 byte after"),
        ([zeros(20_000), vec![1]].concat(), "20001 bytes after"),
        ([zeros(2), gzip(&whole)].concat(), &format!("{} bytes after", 2 + gzip(&whole).len())),
        (b"a longer text than the header of a gzip file".to_vec(), "44 bytes after"),
    ] {
        let error = image_error(&[gzip(&whole), rest].concat()).to_string();
        assert_eq!(error, format!("some-file: {said} the end of the compressed data"));
    }
    // A second stream that is cut off is none that can be passed over.
    for length in 2..gzip(&[]).len() {
        let error = image_error(&[&gzip(&whole), &gzip(&[])[..length]].concat());
        assert!(matches!(error, DataError::GzipEnds { .. }), "{length}: {error}");
    }
    let twice = image_error(&gzip(&whole).repeat(2)).to_string();
    assert_eq!(twice, "some-file: trailing bytes: expected 24 bytes, found more");
}

#[test]
fn implausible_headers_are_refused_before_anything_is_allocated() {
    for (dimensions, part) in [
        ([0, 28, 28], "announces count = 0, expected at least 1"),
        ([1, 0, 28], "announces rows = 0, expected 1..=4096"),
        ([1, 28, 4097], "announces cols = 4097, expected 1..=4096"),
        ([u32::MAX, 28, 28], "announces count * rows * cols = 3367254359280, expected at most 4294967296"),
        ([u32::MAX, 4096, 4096], "announces count * rows * cols = 72057594021150720, expected at most"),
    ] {
        let error = image_error(&image_file(dimensions, &[])).to_string();
        assert!(error.contains(part), "{error}");
    }
    let labels = [LABELS_MAGIC.to_be_bytes(), [0; 4]].concat();
    assert!(matches!(
        parse_labels(&labels, source()),
        Err(DataError::Header { field: "count", found: 0, .. })
    ));
    // The header is plausible, but announces 4 GiB where five bytes follow. Only the five may be
    // allocated.
    let error = image_error(&image_file([256, 4096, 4096], &[1; 5]));
    assert!(matches!(error, DataError::Truncated { expected: 4_294_967_312, found: 21, .. }), "{error}");
}

#[test]
fn a_gzip_stream_that_ends_early_is_refused() {
    let content: Vec<u8> = (0_u32..4000).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let whole = gzip(&image_file([4, 10, 100], &content));
    // Cuts in the gzip header, in the data, and in the checksum after the data.
    for length in [5, 300, whole.len() - 3] {
        let error = image_error(&whole[..length]);
        assert!(matches!(error, DataError::GzipEnds { .. }), "{length}: {error}");
    }
}

#[test]
fn a_damaged_gzip_stream_is_refused() {
    let mut bytes = gzip(&image_file([2, 2, 2], &[9; 8]));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    assert!(matches!(image_error(&bytes), DataError::GzipCorrupt { .. }));
}

#[test]
fn a_name_in_gz_promises_gzip() {
    for (content, found) in
        [(image_file([1, 1, 1], &[0]), "found 00 00"), (Vec::new(), "found an empty file")]
    {
        let (_dir, path) = temporary("images.GZ", &content);
        let error = read_images(&path).unwrap_err().to_string();
        assert!(error.contains("images.GZ") && error.contains("1f 8b") && error.ends_with(found), "{error}");
    }
    let missing = read_labels("absent/labels").unwrap_err().to_string();
    assert_eq!(missing, "cannot read absent/labels");
}

/// The file inflates to 64 MiB and announces 4 bytes. A counting reader shows that the decoder
/// delivers at most the announced length and one more byte.
#[test]
fn a_gzip_bomb_is_not_inflated() {
    let bomb = gzip(&image_file([1, 2, 2], &vec![0; 64 << 20]));
    assert!(bomb.len() < 100_000);
    assert!(matches!(image_error(&bomb), DataError::Trailing { expected: 20, .. }));

    let mut taken = Counted { inner: MultiGzDecoder::new(&bomb[..]), bytes: 0 };
    let content = Content::inflated(&mut taken, source());
    assert!(UnreadImages::of(content).unwrap().read().is_err());
    assert_eq!(taken.bytes, 21);
}

struct Counted<R> {
    inner: R,
    bytes: usize,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count;
        Ok(count)
    }
}

#[test]
fn the_first_number_of_a_table_is_the_label() {
    let table = |rows: &[[i32; 3]]| {
        let header = header(LABEL_TABLE_MAGIC, &[rows.len(), 3]).unwrap();
        [header, rows.as_flattened().iter().flat_map(|value| value.to_be_bytes()).collect()].concat()
    };
    let bytes = table(&[[7, 900, -1], [0, 1, 2], [256, 0, 0], [-1, 0, 0]]);
    assert_eq!(parse_labels(&bytes, source()).unwrap(), [7, 0, 255, 255]);
    let error = parse_labels(&bytes[..59], source()).unwrap_err().to_string();
    assert_eq!(error, "some-file: truncated: expected 60 bytes, found 59");
    let error = parse_labels(&image_file([1, 1, 1], &[0]), source()).unwrap_err().to_string();
    assert!(
        error.contains("expected an IDX label file (magic 0x00000801), found an IDX image file"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (zero, pipe) = (dir.path().join("zero"), dir.path().join("pipe"));
    std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [zero, pipe, dir.path().to_owned()] {
        let expected = format!("{}: not a regular file", path.display());
        assert_eq!(read_images(&path).unwrap_err().to_string(), expected);
    }
}
