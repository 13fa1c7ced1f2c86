//! Downloads with candle-datasets, which keeps the files in the hub's cache. The content is checked
//! before it is used.

use candle_core::{DType, Tensor};
use candle_datasets::vision;

use super::Repository;
use crate::sources::{Descriptor, Split};
use crate::{DataError, Dataset, Result};

/// Loads a split of `set`: square gray images with labels. The first use downloads both splits.
///
/// # Errors
///
/// If the hub cannot be reached, or the content is damaged, has another number or size of images,
/// or has labels that are not classes of the set.
pub(crate) fn load(set: &Descriptor, repository: Repository, split: Split) -> Result<Dataset> {
    let loaded = without_panic(match repository {
        Repository::Mnist => vision::mnist::load,
        Repository::FashionMnist => vision::fashion_mnist::load,
    });
    let failed = |error: candle_core::Error| hub_error(set, &error.to_string());
    let loaded = loaded.map_err(failed)?;
    let (images, labels) = match split {
        Split::Train => (loaded.train_images, loaded.train_labels),
        Split::Test => (loaded.test_images, loaded.test_labels),
    };
    let side = set.shape.map_or(0, |shape| shape.side);
    let (count, area) = (set.count(split).unwrap_or_default(), side * side);
    // The reader skips rows that it cannot parse, so the images are counted here.
    if images.dims() != [count, area] || labels.dims() != [count] {
        let found = format!(
            "expected {count} images of {area} pixels, found {:?} and {:?}",
            images.dims(),
            labels.dims()
        );
        return Err(hub_error(set, &found));
    }
    let pixels = bytes(&images).map_err(failed)?;
    let labels = labels.to_dtype(DType::U8).and_then(|labels| labels.to_vec1::<u8>()).map_err(failed)?;
    let origin = format!("Hugging Face hub, {} split", split.as_str());
    let labels = labels.into_iter().map(u16::from).collect();
    set.label(Dataset::new(set.name, origin, pixels, 1, side)?, labels)
}

/// `candle-datasets` panics at an image that it cannot decode. A damaged download contains such
/// images.
fn without_panic<T>(load: fn() -> candle_core::Result<T>) -> candle_core::Result<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let loaded = std::panic::catch_unwind(load);
    std::panic::set_hook(hook);
    loaded.unwrap_or_else(|_| Err(candle_core::Error::Msg("a downloaded file is damaged".to_owned())))
}

/// Reverses the reader's division by 255.
fn bytes(images: &Tensor) -> candle_core::Result<Vec<u8>> {
    let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
    Ok(values.into_iter().map(|value| (value * 255.0).round() as u8).collect())
}

/// Keeps the start of the cause. The rest is a long address, a backtrace or a page of the hub.
fn hub_error(set: &Descriptor, cause: &str) -> DataError {
    let line = cause.lines().next().unwrap_or_default();
    let line = line.split_once(" for url (").map_or(line, |(start, _)| start);
    DataError::Hub { name: set.name, cause: line.chars().take(160).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use candle_core::Device;

    #[test]
    fn every_byte_survives_the_division() {
        let expected: Vec<u8> = (0..=255).collect();
        let images = Tensor::from_vec(expected.clone(), (1, 256), &Device::Cpu).unwrap();
        let images = (images.to_dtype(DType::F32).unwrap() / 255.0).unwrap();
        assert_eq!(bytes(&images).unwrap(), expected);
    }

    #[test]
    fn a_panic_of_the_reader_is_an_error() {
        let error = without_panic::<()>(|| panic!("image")).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn the_error_is_one_line_and_names_the_ways_out() {
        let error =
            hub_error(&Source::MNIST, "no route to host for url (http://a.b/c)\n  0: backtrace").to_string();
        assert!(!error.contains('\n') && error.contains("(no route to host)"), "{error}");
        assert!(error.contains("--data-dir") && error.contains("mnist-5k"), "{error}");
    }
}
