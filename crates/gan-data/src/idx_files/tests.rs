//! Tests directories in every spelling, errors in them, transposed images, and the embedded digits.

use super::*;
use crate::DataConfig;

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

fn read(name: &str, dir: &Path, split: Split) -> Result<Dataset> {
    let source: Source = name.parse().unwrap();
    let dir = Some(dir.to_owned());
    let config = DataConfig::of(source, dir);
    config.load(split, 28, 1)
}

fn load(dir: &tempfile::TempDir) -> Result<Dataset> {
    read("mnist", dir.path(), Split::Train)
}

fn pixels(data: &Dataset) -> Vec<u8> {
    (0..data.len()).flat_map(|index| data.image(index).into_owned()).collect()
}

#[test]
fn all_spellings_are_found_and_must_agree() {
    let dir = directory(&digits(3), &[0, 9, 5]);
    let data = load(&dir).unwrap();
    assert_eq!((data.len(), data.channels(), data.size(), data.name()), (3, 1, 28, "mnist"));
    assert_eq!(data.labels(), Some(&[0, 9, 5][..]));
    assert!(pixels(&data) == digits(3).pixels);

    let raw = [idx::header(idx::IMAGES_MAGIC, &[3, 28, 28]).unwrap(), vec![7; 3 * 784]].concat();
    std::fs::write(dir.path().join("train-images.idx3-ubyte"), &raw).unwrap();
    // Some archives unpack to a directory that has the file's name.
    std::fs::create_dir(dir.path().join("train-images-idx3-ubyte")).unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("train-images-idx3-ubyte.gz, found two contents"), "{error}");
    std::fs::remove_file(dir.path().join("train-images-idx3-ubyte.gz")).unwrap();
    assert!(pixels(&load(&dir).unwrap()) == [7; 3 * 784]);
    std::fs::write(dir.path().join("train-labels.idx1-ubyte"), b"\0\0\x08\x01\0\0\0\x03abc").unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("train-labels-idx1-ubyte.gz, found two contents"), "{error}");
}

#[test]
fn a_missing_file_is_named_in_every_spelling() {
    let dir = directory(&digits(1), &[0]);
    let error = read("fashion-mnist", dir.path(), Split::Test).unwrap_err().to_string();
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
    let checks = Source::MNIST.check_files(dir.path()).unwrap().unwrap();
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

/// Only the hashes of the compressed files are known of this data set.
#[test]
fn compressed_files_are_compared_as_they_are() {
    let dir = directory(&digits(1), &[0]);
    let labels = dir.path().join("train-labels-idx1-ubyte.gz");
    std::fs::write(dir.path().join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 0]).unwrap();
    let kmnist: Source = "kmnist".parse().unwrap();
    let checks = kmnist.check_files(dir.path()).unwrap().unwrap();
    assert_eq!(checks[1].sha256, Some(gan_files::sha256(&[&std::fs::read(&labels).unwrap()])));
    assert_eq!(checks[1].path, Some(labels));
    assert_eq!((checks[2].path.is_some(), &checks[2].sha256), (false, &None));
    assert_eq!((checks[3].path.is_some(), &checks[3].sha256), (true, &None));
    assert!(checks.iter().all(|check| !check.canonical));
}

/// A digit of one column and one row.
fn marked(letter: u8) -> [u8; 784] {
    let mut image = [0; 784];
    image[5] = 200 + letter;
    image[3 * 28] = 100;
    image
}

#[test]
fn emnist_is_put_upright_and_its_letters_count_from_0() {
    let dir = tempfile::tempdir().unwrap();
    let gzip = dir.path().join("gzip");
    std::fs::create_dir(&gzip).unwrap();
    let write = |dir: &Path, split: &str, labels: &[u8]| {
        // The files have rows and columns swapped.
        let swap = |image: [u8; 784]| (0..784).map(move |n| image[n % 28 * 28 + n / 28]);
        let pixels = (0..labels.len()).flat_map(|n| swap(marked(n as u8))).collect();
        let images = IdxImages { count: labels.len(), rows: 28, cols: 28, pixels };
        let file = |part| dir.join(format!("emnist-letters-{split}-{part}-ubyte.gz"));
        idx::write_images_gz(file("images-idx3"), &images).unwrap();
        idx::write_labels_gz(file("labels-idx1"), labels).unwrap();
    };
    write(&gzip, "train", &[1, 26, 13]);
    let data = read("emnist-letters", dir.path(), Split::Train).unwrap();
    assert_eq!((data.name(), data.labels()), ("emnist-letters", Some(&[0, 25, 12][..])));
    assert_eq!(data.class_counts().unwrap().len(), 26);
    assert!((0..3).all(|n| *data.image(n) == marked(n as u8)));
    // The directory itself is preferred to the one that its archive unpacks to.
    write(dir.path(), "train", &[2]);
    assert_eq!(read("emnist-letters", dir.path(), Split::Train).unwrap().labels(), Some(&[1][..]));
    let error = read("emnist-letters", dir.path(), Split::Test).unwrap_err().to_string();
    for part in ["emnist-letters-test-images-idx3-ubyte,", "gzip/emnist-letters-test-images.idx3-ubyte.gz"] {
        assert!(error.contains(part), "{error}");
    }
    for stranger in [0, 27] {
        write(&gzip, "test", &[1, 1, stranger]);
        let error = read("emnist-letters", dir.path(), Split::Test).unwrap_err().to_string();
        assert!(error.ends_with(&format!("label 2: expected 1..=26, found {stranger}")), "{error}");
    }
}

#[test]
fn each_set_has_its_files_and_classes() {
    for (name, prefix, test, largest) in [
        ("kmnist", "", "t10k", 9),
        ("emnist-digits", "emnist-digits-", "test", 9),
        ("emnist-balanced", "emnist-balanced-", "test", 46),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for split in ["train", test] {
            let file = |part| dir.path().join(format!("{prefix}{split}-{part}-ubyte.gz"));
            idx::write_images_gz(file("images-idx3"), &digits(2)).unwrap();
            idx::write_labels_gz(file("labels-idx1"), &[0, largest]).unwrap();
        }
        for split in [Split::Train, Split::Test] {
            let data = read(name, dir.path(), split).unwrap();
            assert_eq!((data.name(), data.labels()), (name, Some(&[0, largest.into()][..])));
            assert_eq!(data.class_counts().unwrap().len(), usize::from(largest) + 1);
        }
        let labels = dir.path().join(format!("{prefix}train-labels-idx1-ubyte.gz"));
        idx::write_labels_gz(labels, &[0, largest + 1]).unwrap();
        let error = read(name, dir.path(), Split::Train).unwrap_err().to_string();
        assert!(error.ends_with(&format!("expected 0..={largest}, found {}", largest + 1)), "{error}");
    }
}

#[test]
fn directories_that_torchvision_makes_are_found() {
    for (name, place, prefix, test) in [
        ("mnist", "MNIST/raw", "", "t10k"),
        ("mnist", "raw", "", "t10k"),
        ("fashion-mnist", "FashionMNIST/raw", "", "t10k"),
        ("kmnist", "KMNIST/raw", "", "t10k"),
        ("emnist-letters", "EMNIST/raw", "emnist-letters-", "test"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(place);
        std::fs::create_dir_all(&at).unwrap();
        for split in ["train", test] {
            let file = |part| at.join(format!("{prefix}{split}-{part}-ubyte"));
            let images = [idx::header(idx::IMAGES_MAGIC, &[2, 28, 28]).unwrap(), vec![7; 2 * 784]].concat();
            std::fs::write(file("images-idx3"), images).unwrap();
            idx::write_labels_gz(file("labels-idx1").with_extension("gz"), &[1, 2]).unwrap();
        }
        for split in [Split::Train, Split::Test] {
            let data = read(name, dir.path(), split).unwrap();
            assert_eq!((data.len(), data.name()), (2, name));
            assert_eq!(data.labels().unwrap().len(), 2, "{name} in {place}");
        }
    }
}

#[test]
fn qmnist_has_a_table_of_labels() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("QMNIST/raw");
    std::fs::create_dir_all(&at).unwrap();
    for split in ["train", "test"] {
        let images = at.join(format!("qmnist-{split}-images-idx3-ubyte.gz"));
        idx::write_images_gz(images, &digits(2)).unwrap();
        let header = idx::header(idx::LABEL_TABLE_MAGIC, &[2, 8]).unwrap();
        let rows = [[5, 0, 3, 9, 9, 9, 0, 0], [9, 1, 1, 1, 1, 1, 1, 1]].as_flattened().to_vec();
        let rows: Vec<u8> = rows.into_iter().flat_map(|value: i32| value.to_be_bytes()).collect();
        std::fs::write(at.join(format!("qmnist-{split}-labels-idx2-int")), [header, rows].concat()).unwrap();
    }
    for split in [Split::Train, Split::Test] {
        let data = read("qmnist", dir.path(), split).unwrap();
        assert_eq!((data.labels(), data.class_counts().unwrap().len()), (Some(&[5, 9][..]), 10));
    }
}

#[test]
fn images_without_labels_are_read() {
    let dir = directory(&digits(2), &[1, 2]);
    std::fs::remove_file(dir.path().join("train-labels-idx1-ubyte.gz")).unwrap();
    let data = load(&dir).unwrap();
    assert_eq!((data.len(), data.labels()), (2, None));
    assert!(data.source().ends_with(" (without labels: train-labels-idx1-ubyte is missing)"));
}

#[test]
fn square_images_of_another_size_are_read_and_marked() {
    let padded = IdxImages { count: 2, rows: 32, cols: 32, pixels: vec![3; 2048] };
    let data = load(&directory(&padded, &[1, 2])).unwrap();
    assert_eq!((data.size(), data.unusual_size()), (28, Some(32)));
    assert_eq!(load(&directory(&digits(2), &[1, 2])).unwrap().unusual_size(), None);
}

#[test]
fn labels_are_counted_before_the_images_are_read() {
    // Nothing follows the header, so reading the images would be another error.
    let dir = directory(&digits(1), &[1, 2]);
    std::fs::remove_file(dir.path().join("train-images-idx3-ubyte.gz")).unwrap();
    let header = idx::header(idx::IMAGES_MAGIC, &[5_000_000, 28, 28]).unwrap();
    std::fs::write(dir.path().join("train-images-idx3-ubyte"), header).unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("holds 5000000 images but ") && error.ends_with("holds 2 labels"), "{error}");
}

#[test]
fn a_wrong_directory_says_what_to_give() {
    let dir = tempfile::tempdir().unwrap();
    let error = || load(&dir).unwrap_err().to_string();
    assert!(error().ends_with("found none (--data-dir, data.dir or GAN_DATA_DIR names the directory)"));
    let class = dir.path().join("cats");
    std::fs::create_dir(&class).unwrap();
    std::fs::write(class.join("a.jpeg"), "").unwrap();
    let expected =
        "the directory contains pictures: --config dcgan-64 trains on them (data.name = \"folder\")";
    assert!(error().ends_with(expected), "{}", error());
    let file = class.join("a.jpeg");
    let error = read("mnist", &file, Split::Train).unwrap_err().to_string();
    assert_eq!(error, format!("{}: expected a directory, found a file", file.display()));
    #[cfg(unix)]
    {
        let path = dir.path().join("train-images-idx3-ubyte");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(load(&dir).unwrap_err().to_string(), format!("{}: not a regular file", path.display()));
    }
}

#[test]
fn what_is_not_on_the_hub_is_not_downloaded() {
    let balanced: Source = "emnist-balanced".parse().unwrap();
    let error = balanced.download(Split::Train, "nowhere").unwrap_err().to_string();
    assert_eq!(error, "name: expected a data set on the hub (mnist, fashion-mnist), found emnist-balanced");
    assert!(Source::MNIST.is_on_hub() && !Path::new("nowhere").exists());
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_digits_are_500_of_each_class() {
    let data = crate::mnist_5k().unwrap();
    assert_eq!((data.len(), data.channels(), data.size()), (5000, 1, 28));
    assert_eq!(data.class_counts(), Some(vec![500; 10]));
    assert!(data.labels().unwrap().is_sorted());
    // `make_mnist_5k.py` prints these hashes and assets/README.md records them.
    let header = idx::header(idx::IMAGES_MAGIC, &[5000, 28, 28]).unwrap();
    assert_eq!(
        gan_files::sha256(&[&header, &pixels(&data)]),
        "a4a9358b9ba319305e7cd69b2c7410e463401e152d7e9e60189b94a3f159d012"
    );
}
