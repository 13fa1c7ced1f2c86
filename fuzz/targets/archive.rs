//! A zip archive of pictures with a `dataset.json`.
#![no_main]

use gan_data::folder::{self, Options};
use libfuzzer_sys::fuzz_target;

/// Deflated data become at most 1032 times as long.
const INFLATED: usize = 1032;

fuzz_target!(|input: &[u8]| {
    let path = gan_fuzz::file("a.zip", input);
    // What a picture takes: see `pictures`.
    let fixed = (32 << 18) + (16 << 20);
    gan_fuzz::memory::limit(input.len() * INFLATED + fixed, 3, || {
        if let Ok(data) = folder::load(&path, &Options::new(8, 3)) {
            assert!(data.labels().is_none_or(|labels| labels.len() == data.len()));
            let classes = data.class_counts().map_or(0, |counts| counts.len());
            assert!(data.class_names().is_empty() || data.class_names().len() == classes);
            assert!(folder::survey(&path).is_ok());
        }
    });
});
