//! Tests the checks, and what is loaded.

use super::*;
use crate::idx::{self, IdxImages};

fn config(name: &str, dir: Option<&Path>) -> DataConfig {
    DataConfig { batch_size: 64, ..DataConfig::of(name.parse().unwrap(), dir.map(Path::to_owned)) }
}

#[test]
fn tables_come_back_as_written() {
    for name in Source::all().map(|source| source.name) {
        let config: DataConfig = toml::from_str(&format!("name = \"{name}\"\nbatch-size = 64")).unwrap();
        assert_eq!(config, self::config(name, None));
        let written = toml::to_string(&config).unwrap();
        assert!(!written.contains("dir") && written.contains("range = \"minus-one-one\""), "{written}");
        assert_eq!(toml::from_str::<DataConfig>(&written).unwrap(), config);
    }
    let full = "name = \"folder\"\nbatch-size = 1\ndir = \"faces\"\nrange = \"zero-one\"\n";
    let config: DataConfig = toml::from_str(full).unwrap();
    assert_eq!((config.dir.as_deref(), config.range), (Some(Path::new("faces")), Range::ZeroOne));
    assert_eq!(toml::to_string(&config).unwrap(), full);
}

#[test]
fn unknown_keys_and_names_are_refused() {
    for (text, part) in [
        ("name = \"mnist\"\nbatch_size = 64", "batch_size"),
        ("name = \"cifar\"\nbatch-size = 64", "unknown variant `cifar`, expected one of `mnist-5k`, `mnist`"),
        ("name = \"mnist\"\nbatch-size = 64\nrange = \"half\"", "half"),
    ] {
        let error = toml::from_str::<DataConfig>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn contradictions_are_refused() {
    let empty = DataConfig { batch_size: 0, ..config("mnist-5k", None) };
    assert_eq!(empty.validate().unwrap_err().to_string(), "data.batch-size: expected at least 1, found 0");
    let missing = config("folder", None).load(Split::Train, 28, 1).unwrap_err().to_string();
    assert!(missing.contains("--data-dir") && missing.contains("data.dir"), "{missing}");
    for name in ["kmnist", "cifar-100", "folder"] {
        let missing = config(name, None).validate().unwrap_err().to_string();
        assert!(missing.contains(&format!("a directory for name = \"{name}\", found none")), "{missing}");
    }
    assert!(config("mnist-5k", Some(Path::new("data"))).validate().is_err());
    config("fashion-mnist", None).validate().unwrap();
}

#[test]
fn a_directory_is_read_and_resized() {
    let dir = tempfile::tempdir().unwrap();
    for (prefix, count) in [("train", 3), ("t10k", 2)] {
        let images = IdxImages { count, rows: 28, cols: 28, pixels: vec![9; count * 784] };
        idx::write_images_gz(dir.path().join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
        idx::write_labels_gz(dir.path().join(format!("{prefix}-labels-idx1-ubyte.gz")), &vec![1; count])
            .unwrap();
    }
    for name in ["mnist", "fashion-mnist", "folder"] {
        let config = config(name, Some(dir.path()));
        for (split, count) in [(Split::Train, 3), (Split::Test, 2)] {
            let data = config.load(split, 32, 3).unwrap();
            assert_eq!((data.len(), data.channels(), data.size()), (count, 1, 32));
        }
    }
    let stacked = config("stacked-mnist", Some(dir.path()));
    for (split, count) in [(Split::Train, 128_000), (Split::Test, 26_000)] {
        let data = stacked.load(split, 32, 3).unwrap();
        assert_eq!((data.len(), data.channels(), data.size()), (count, 3, 32));
        assert_eq!((data.name(), data.image(count - 1).len()), ("stacked-mnist", 3 * 32 * 32));
    }
    let limited = DataConfig { limit: Some(100), ..stacked.clone() }.load(Split::Train, 28, 3).unwrap();
    let all = stacked.load(Split::Train, 28, 3).unwrap();
    assert_eq!((limited.len(), limited.image(99)), (100, all.image(128_000 / 100 * 99)));
    let error = stacked.load(Split::Train, 28, 1).unwrap_err().to_string();
    assert!(error.contains("expected 3") && error.contains("model.channels"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = config("folder", Some(empty.path())).load(Split::Test, 32, 1).unwrap_err().to_string();
    assert!(error.contains("no test split"), "{error}");
}

#[cfg(feature = "embedded")]
#[test]
fn a_limit_takes_images_of_the_whole_data() {
    let limited = DataConfig { limit: Some(20), ..config("mnist-5k", None) };
    let data = limited.load(Split::Train, 28, 1).unwrap();
    // The digits are sorted by class, 500 of each.
    assert_eq!(data.class_counts(), Some(vec![2; 10]));
    let none = DataConfig { limit: Some(0), ..limited };
    assert_eq!(none.validate().unwrap_err().to_string(), "data.limit: expected at least 1, found 0");
}

#[test]
fn a_share_can_be_held_out_where_there_is_no_test_split() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..25u8 {
        let grey = image::GrayImage::from_pixel(8, 8, image::Luma([10 * i]));
        grey.save(dir.path().join(format!("{i:02}.png"))).unwrap();
    }
    let pictures = config("folder", Some(dir.path()));
    let held = |share| DataConfig { hold_out: Some(share), ..pictures.clone() };
    let shades = |config: &DataConfig, split| {
        let data = config.load(split, 8, 1).unwrap();
        (0..data.len()).map(|i| data.image(i)[0] / 10).collect::<Vec<_>>()
    };
    // Every fifth picture, in the order of the paths.
    assert_eq!(shades(&held(0.2), Split::Test), [0, 5, 10, 15, 20]);
    let rest: Vec<u8> = (0..25).filter(|i| i % 5 != 0).collect();
    assert_eq!(shades(&held(0.2), Split::Train), rest);
    // A limit takes some of the rest.
    let limited = DataConfig { limit: Some(4), ..held(0.2) };
    assert_eq!(shades(&limited, Split::Train), [1, 7, 13, 19]);
    assert_eq!(shades(&limited, Split::Test), [0, 5, 10, 15, 20]);
    assert_eq!([0.5, 0.1].map(|share| shades(&held(share), Split::Test).len()), [13, 3]);
    let error = held(0.01).load(Split::Train, 8, 1).unwrap_err().to_string();
    assert_eq!(error, "data.hold-out: expected a share of at least one of 25 images, found 0.01");
    for share in [0., -0.1, 0.51, f64::NAN] {
        let error = held(share).validate().unwrap_err().to_string();
        assert_eq!(error, format!("data.hold-out: expected a share above 0 and up to 0.5, found {share}"));
    }
    let text = toml::to_string(&held(0.1)).unwrap();
    assert!(text.contains("hold-out = 0.1\n"), "{text}");
    assert_eq!(toml::from_str::<DataConfig>(&text).unwrap(), held(0.1));
}

#[test]
fn nothing_is_held_out_where_there_is_a_test_split() {
    let refused = "expected none, as mnist has a test split, which is never trained on, found 0.1";
    let mnist = DataConfig { hold_out: Some(0.1), ..config("mnist", None) };
    assert_eq!(mnist.validate().unwrap_err().to_string(), format!("data.hold-out: {refused}"));
    // A folder may have one too.
    let dir = tempfile::tempdir().unwrap();
    let write = |prefix: &str| {
        let images = IdxImages { count: 20, rows: 28, cols: 28, pixels: vec![9; 20 * 784] };
        let path = |kind: &str| dir.path().join(format!("{prefix}-{kind}-ubyte.gz"));
        idx::write_images_gz(path("images-idx3"), &images).unwrap();
        idx::write_labels_gz(path("labels-idx1"), &[1; 20]).unwrap();
    };
    write("train");
    let folder = DataConfig { hold_out: Some(0.1), ..config("folder", Some(dir.path())) };
    let count = |split| folder.load(split, 28, 1).map(|data| data.len()).map_err(|e| e.to_string());
    assert_eq!((count(Split::Train), count(Split::Test)), (Ok(18), Ok(2)));
    write("t10k");
    let refused = refused.replace("mnist", "folder");
    assert_eq!(count(Split::Train), Err(format!("data.hold-out: {refused}")));
}

#[cfg(feature = "embedded")]
#[test]
fn embedded_digits_need_nothing() {
    let data = config("mnist-5k", None).load(Split::Train, 28, 1).unwrap();
    assert_eq!((data.len(), data.size()), (5000, 28));
    assert!(config("mnist-5k", None).load(Split::Test, 28, 1).is_err());
}

#[cfg(not(feature = "hub"))]
#[test]
fn without_the_hub_the_error_names_the_ways_out() {
    let error = config("mnist", None).load(Split::Train, 28, 1).unwrap_err().to_string();
    for part in ["`hub`", "cargo install --locked --path crates/gan-cli", "--data-dir", "mnist-5k"] {
        assert!(error.contains(part), "{error}");
    }
}
