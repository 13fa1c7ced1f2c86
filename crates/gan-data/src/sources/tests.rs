//! Tests that the descriptors are consistent and complete.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::{DataConfig, Dataset, idx};

fn source(name: &str) -> Source {
    name.parse().unwrap()
}

#[test]
fn every_file_of_the_directory_is_listed_and_told_of() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("src/sources")).unwrap().map(|entry| entry.unwrap().path());
    let stems = files.map(|path| path.file_stem().unwrap().to_str().unwrap().replace('_', "-"));
    let files: BTreeSet<String> = stems.filter(|stem| stem != "tests").collect();
    let names: BTreeSet<String> = Source::all().map(|source| source.name.to_owned()).collect();
    assert_eq!(files, names);
    assert_eq!(names.len(), ALL.len());
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let (readme, configuration) = (text("README.md"), text("../../docs/configuration.md"));
    let told: BTreeSet<_> = configuration.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    for name in NAMES {
        assert!(readme.contains(&format!("\n| `{name}` | ")), "README.md has no row for {name}");
        assert!(told.contains(name), "docs/configuration.md does not name {name}");
    }
}

#[test]
fn descriptors_make_sense() {
    for source in Source::all() {
        assert_eq!(source.name.parse::<Source>().unwrap(), source);
        let classes: BTreeSet<_> = source.classes.iter().collect();
        assert!(classes.len() == source.classes.len() && classes.len() <= 256, "{source}: classes");
        // A data set without a count is a folder. One with a count has a shape.
        assert_eq!(
            (source.train.is_some(), source.test.is_some()),
            (source.shape.is_some(), source.splits().len() == 2)
        );
        for (_, hash) in source.sha256.unwrap_or_default() {
            assert!(hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{source}");
        }
        if let Some(composed) = source.composed() {
            let [whole, part] = [source, composed.of].map(|source| source.shape.unwrap());
            assert_eq!((whole.channels, part.channels, whole.side), (3, 1, part.side), "{source}");
            assert!(composed.judged <= source.test.unwrap(), "{source}");
        }
        assert!(source.made_of().composed().is_none(), "{source}");
    }
    let error = "nist".parse::<Source>().unwrap_err().to_string();
    assert!(
        error.starts_with("data.name: expected one of mnist-5k, mnist, ") && error.ends_with("found nist")
    );
}

#[test]
fn classes_are_known_without_reading() {
    let classes = |name| source(name).classes();
    assert_eq!(["folder", "stacked-mnist"].map(classes), [None, None]);
    assert_eq!(["mnist-5k", "kmnist", "cifar-10", "emnist-digits"].map(classes), [Some(10); 4]);
    assert_eq!(
        ["emnist-letters", "emnist-balanced", "cifar-100"].map(classes),
        [Some(26), Some(47), Some(100)]
    );
    let balanced = source("emnist-balanced").classes;
    assert_eq!([9, 10, 35, 36, 46].map(|class| balanced[class]), ["9", "A", "Z", "a", "t"]);
}

#[test]
fn relations_between_data_sets() {
    assert_eq!(Source::MNIST_5K.embedded_part_of(), Some(Source::MNIST));
    assert_eq!(Source::MNIST.embedded_part_of(), None);
    assert_eq!(source("stacked-mnist").made_of(), Source::MNIST);
    assert_eq!(source("cifar-10").made_of(), source("cifar-10"));
}

/// The four files of MNIST with `count` images each.
fn mnist(dir: &Path, count: usize) {
    for part in ["train", "t10k"] {
        let images = idx::IdxImages { count, rows: 28, cols: 28, pixels: vec![50; count * 784] };
        idx::write_images_gz(dir.join(format!("{part}-images.idx3-ubyte.gz")), &images).unwrap();
        idx::write_labels_gz(dir.join(format!("{part}-labels-idx1-ubyte.gz")), &vec![4; count]).unwrap();
    }
}

fn folder(dir: &Path, split: Split) -> Result<Dataset, DataError> {
    let (name, dir) = (source("folder"), Some(dir.to_owned()));
    DataConfig::of(name, dir).load(split, 64, 3)
}

#[test]
fn mnist_files_are_read_where_there_are_no_images() {
    let dir = tempfile::tempdir().unwrap();
    mnist(dir.path(), 2);
    for split in [Split::Train, Split::Test] {
        let data = folder(dir.path(), split).unwrap();
        assert_eq!((data.name(), data.len(), data.channels(), data.size()), ("folder", 2, 1, 64));
        assert_eq!(data.labels(), Some(&[4, 4][..]));
        assert!((0..2).all(|index| *data.image(index) == [50; 64 * 64]));
    }
    image::GrayImage::new(9, 9).save(dir.path().join("a.png")).unwrap();
    let data = folder(dir.path(), Split::Train).unwrap();
    assert_eq!((data.len(), data.channels(), data.labels()), (1, 3, None));
}

#[test]
fn a_composed_set_is_checked_by_the_files_of_its_parts() {
    let dir = tempfile::tempdir().unwrap();
    mnist(dir.path(), 1);
    let checks = source("stacked-mnist").check_files(dir.path()).unwrap();
    assert_eq!(checks, Source::MNIST.check_files(dir.path()).unwrap());
    assert_eq!(checks.unwrap().len(), 4);
    assert_eq!(source("qmnist").check_files(dir.path()).unwrap(), None);
}
