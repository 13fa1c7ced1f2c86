//! A folder with one picture. Under a fuzzer, a picture may have 512x512 pixels at most.
#![no_main]

use gan_data::folder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, picture)) = gan_fuzz::choice(input) else { return };
    let channels = if choice % 2 == 0 { 1 } else { 3 };
    gan_fuzz::file("a.png", picture);
    let directory = gan_fuzz::directory();
    // 8 MiB for a picture of 512x512 pixels. WebP's decoder takes 16 MiB at most that a
    // damaged file announces (the length of a partition has 24 bits), whatever the file has.
    let fixed = (32 << 18) + (16 << 20);
    gan_fuzz::memory::limit(picture.len() + fixed, 1, || {
        let survey = folder::survey(directory);
        if let Ok(data) = folder::load(directory, &folder::Options::new(8, channels)) {
            assert_eq!((data.len(), data.size(), data.channels()), (1, 8, channels));
            assert!(survey.is_ok_and(|survey| survey.side() > 0));
        }
    });
});
