//! Directories in every spelling, what may be wrong with them, and the embedded digits.

use super::*;
use crate::idx::IdxImages;

fn digits(count: usize) -> IdxImages {
    IdxImages { count, rows: 28, cols: 28, pixels: (0..count * 784).map(|n| n as u8).collect() }
}

/// A directory with training images and labels.
fn directory(images: &IdxImages, labels: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    idx::write_images_gz(dir.path().join("train-images-idx3-ubyte.gz"), images).unwrap();
    idx::write_labels_gz(dir.path().join("train-labels-idx1-ubyte.gz"), labels).unwrap();
    dir
}

fn load(dir: &tempfile::TempDir) -> Result<Dataset> {
    load_dir(dir.path(), Name::Mnist, Split::Train)
}

fn pixels(data: &Dataset) -> Vec<u8> {
    (0..data.len()).flat_map(|index| data.image(index).into_owned()).collect()
}

#[test]
fn all_spellings_are_found_and_raw_is_preferred() {
    let dir = directory(&digits(3), &[0, 9, 5]);
    let data = load(&dir).unwrap();
    assert_eq!((data.len(), data.channels(), data.size(), data.name()), (3, 1, 28, "mnist"));
    assert_eq!(data.labels(), Some(&[0, 9, 5][..]));
    assert!(pixels(&data) == digits(3).pixels);

    let raw = [idx::header(idx::IMAGES_MAGIC, &[3, 28, 28]).unwrap(), vec![7; 3 * 784]].concat();
    std::fs::write(dir.path().join("train-images.idx3-ubyte"), &raw).unwrap();
    // As some archives have it: a directory of the file's name.
    std::fs::create_dir(dir.path().join("train-images-idx3-ubyte")).unwrap();
    assert!(pixels(&load(&dir).unwrap()) == [7; 3 * 784]);
}

#[test]
fn a_missing_file_is_named_in_every_spelling() {
    let dir = directory(&digits(1), &[0]);
    let error = load_dir(dir.path(), Name::FashionMnist, Split::Test).unwrap_err().to_string();
    for part in [
        &dir.path().display().to_string(),
        "t10k-images-idx3-ubyte,",
        "t10k-images.idx3-ubyte,",
        "t10k-images-idx3-ubyte.gz,",
        "t10k-images.idx3-ubyte.gz,",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn counts_dimensions_and_labels_must_fit() {
    let small = IdxImages { count: 1, rows: 14, cols: 28, pixels: vec![0; 392] };
    for (images, labels, parts) in [
        (digits(2), &[1][..], ["holds 2 images", "holds 1 labels"]),
        (digits(2), &[1, 10], ["label 1: expected 0..=9, found 10", "train-labels-idx1-ubyte.gz"]),
        (small, &[1], ["expected images of 28x28 pixels, found 14x28", "train-images-idx3-ubyte.gz"]),
    ] {
        let error = load(&directory(&images, labels)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn other_files_than_the_originals_are_told_apart() {
    let dir = directory(&digits(1), &[0]);
    let checks = canonical(dir.path()).unwrap();
    let files: Vec<_> = checks.iter().map(|check| check.file.as_str()).collect();
    assert_eq!(
        files,
        [
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte"
        ]
    );
    assert!(checks.iter().all(|check| !check.canonical));
    assert_eq!(checks[1].path, Some(dir.path().join("train-labels-idx1-ubyte.gz")));
    let uncompressed = [0, 0, 8, 1, 0, 0, 0, 1, 0];
    assert_eq!(checks[1].sha256, Some(gan_files::sha256(&[&uncompressed])));
    assert_eq!((&checks[2].path, &checks[2].sha256), (&None, &None));
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_digits_are_500_of_each_class() {
    let data = mnist_5k().unwrap();
    assert_eq!((data.len(), data.channels(), data.size()), (5000, 1, 28));
    assert_eq!(data.class_counts(), Some([500; 10]));
    assert!(data.labels().unwrap().is_sorted());
    // As `make_mnist_5k.py` prints them and assets/README.md records them.
    let header = idx::header(idx::IMAGES_MAGIC, &[5000, 28, 28]).unwrap();
    assert_eq!(
        gan_files::sha256(&[&header, &pixels(&data)]),
        "a4a9358b9ba319305e7cd69b2c7410e463401e152d7e9e60189b94a3f159d012"
    );
}
