//! An IDX file of images or labels.
#![no_main]

use gan_data::idx::{parse_images, parse_labels};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let path = Path::new("input");
    gan_fuzz::memory::limit(input.len(), 8, || {
        if let Ok(images) = parse_images(input, path) {
            assert_eq!(images.pixels.len(), images.count * images.rows * images.cols);
        }
        if let Ok(labels) = parse_labels(input, path) {
            assert!(!labels.is_empty() && labels.len() <= input.len());
        }
    });
});
