//! Tests planes and labels of both data sets, in every location, and errors for every kind of
//! damage.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::{DataConfig, Source};

fn read(name: &str, dir: &Path, split: Split) -> Result<Dataset> {
    let source: Source = name.parse().unwrap();
    let dir = Some(dir.to_owned());
    let config = DataConfig::of(source, dir);
    config.load(split, SIDE, CHANNELS)
}

fn error(name: &str, dir: &Path, split: Split) -> String {
    read(name, dir, split).unwrap_err().to_string()
}

/// A pixel value that identifies its place and its image.
fn pixel(image: usize, n: usize) -> u8 {
    (n / 1024 * 80 + n % 79 + image) as u8
}

/// Records of images, the first with number `first`, each after its labels.
fn records(first: usize, labels: &[&[u8]]) -> Vec<u8> {
    let image = |index: usize| (0..AREA).map(move |n| pixel(first + index, n));
    labels.iter().enumerate().flat_map(|(index, labels)| labels.iter().copied().chain(image(index))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The five training files. The first has one image, the others have two.
fn batches(dir: &Path) {
    for batch in 0..5_u8 {
        let labels: &[&[u8]] = if batch == 0 { &[&[9]] } else { &[&[batch], &[0]] };
        let first = usize::from(batch) * 2;
        fs::write(dir.join(format!("data_batch_{}.bin", batch + 1)), records(first, labels)).unwrap();
    }
}

#[test]
fn cifar_10_is_its_batches_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let unpacked = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&unpacked).unwrap();
    batches(&unpacked);
    let data = read("cifar-10", dir.path(), Split::Train).unwrap();
    assert_eq!((data.name(), data.len(), data.channels(), data.size()), ("cifar-10", 9, 3, 32));
    assert_eq!(data.labels(), Some(&[9, 1, 0, 2, 0, 3, 0, 4, 0][..]));
    assert!(data.source().ends_with("data_batch_5.bin") && data.source().contains("data_batch_1.bin to "));
    for (index, image) in [(0, 0), (1, 2), (2, 3), (8, 9)] {
        let expected: Vec<u8> = (0..AREA).map(|n| pixel(image, n)).collect();
        assert!(*data.image(index) == expected, "image {index}");
    }
    // Files in the directory itself are preferred. Each file may be gzip.
    fs::write(dir.path().join("data_batch_3.bin.gz"), gzip(&records(50, &[&[7]]))).unwrap();
    let data = read("cifar-10", dir.path(), Split::Train).unwrap();
    assert_eq!(data.labels(), Some(&[9, 1, 0, 7, 3, 0, 4, 0][..]));
    assert_eq!(data.image(3)[5], pixel(50, 5));

    fs::remove_file(unpacked.join("data_batch_4.bin")).unwrap();
    let missing = error("cifar-10", dir.path(), Split::Train);
    for part in
        [&dir.path().display().to_string(), "data_batch_4.bin,", "cifar-10-batches-bin/data_batch_4.bin.gz"]
    {
        assert!(missing.contains(part), "{missing}");
    }
    assert!(error("cifar-10", dir.path(), Split::Test).contains("test_batch.bin"));
}

#[test]
fn the_fine_labels_of_cifar_100_are_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("train.bin"), records(0, &[&[19, 99], &[0, 3]])).unwrap();
    fs::create_dir(dir.path().join("cifar-100-binary")).unwrap();
    fs::write(dir.path().join("cifar-100-binary/test.bin"), records(7, &[&[4, 50]])).unwrap();
    let data = read("cifar-100", dir.path(), Split::Train).unwrap();
    assert_eq!((data.len(), data.labels()), (2, Some(&[99, 3][..])));
    assert_eq!(data.class_counts().unwrap().len(), 100);
    assert_eq!((data.image(1)[0], data.image(1)[1024], data.image(1)[3071]), (1, 157, 230));
    let test = read("cifar-100", dir.path(), Split::Test).unwrap();
    assert_eq!((test.labels(), test.image(0)[0]), (Some(&[50][..]), 7));
}

#[test]
fn broken_files_are_named_with_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.bin");
    let whole = records(0, &[&[19, 99], &[0, 3]]);
    let mut cases = vec![
        (Vec::new(), "expected a positive multiple of 3074 bytes, one image each, found 0 bytes".to_owned()),
        (records(0, &[&[0, 3], &[0, 100]]), "label 1: expected 0..=99, found 100".to_owned()),
        (records(0, &[&[20, 3]]), "coarse label 0: expected 0..=19, found 20".to_owned()),
    ];
    for length in [1, 3073, 3075, 6147] {
        let expected =
            format!("expected a positive multiple of 3074 bytes, one image each, found {length} bytes");
        cases.push((whole[..length].to_vec(), expected));
    }
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        assert_eq!(error("cifar-100", dir.path(), Split::Test), format!("{}: {expected}", path.display()));
    }
    fs::remove_file(&path).unwrap();
    let packed = gzip(&whole);
    for bytes in [&packed[..packed.len() - 3], &whole] {
        fs::write(dir.path().join("test.bin.gz"), bytes).unwrap();
        let error = error("cifar-100", dir.path(), Split::Test);
        assert!(error.contains("test.bin.gz: ") && error.contains("gzip"), "{error}");
    }
}

/// The file inflates to 128 MiB. The data set has 30,740,000 bytes.
#[test]
fn a_file_is_not_read_beyond_the_last_image_of_the_data_set() {
    let dir = tempfile::tempdir().unwrap();
    let bomb = gzip(&vec![0; 128 << 20]);
    fs::write(dir.path().join("test.bin.gz"), bomb).unwrap();
    let error = error("cifar-100", dir.path(), Split::Test);
    assert!(error.ends_with("trailing bytes: expected 30740000 bytes, found more"), "{error}");

    let cifar_100: Source = "cifar-100".parse().unwrap();
    let crate::format::Format::Cifar(files) = &cifar_100.format else { panic!("another format") };
    let (mut pixels, mut classes, three) = (Vec::new(), Vec::new(), records(0, &[&[0, 0][..]; 3]));
    let mut rest = &three[..];
    let content = Content::of(&mut rest, Path::new("some-file")).unwrap();
    let error = files.read_file(content, 2, &mut pixels, &mut classes).unwrap_err();
    assert!(matches!(error, DataError::Trailing { expected: 6148, .. }), "{error}");
    assert_eq!(rest.len(), 3073, "one byte too many was taken, and no more");
}
