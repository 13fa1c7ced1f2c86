//! A gzip file of images or labels. Most mutations are made to the content and compressed again,
//! because hardly any damaged gzip file reaches the code behind the decoder.
#![no_main]

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use gan_data::idx::{read_images, read_labels};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::io::Read;

fuzz_target!(|input: &[u8]| {
    let path = gan_fuzz::file("images.gz", input);
    // A byte of gzip can become 1032 bytes, which are IDX.
    gan_fuzz::memory::limit(input.len(), 8 * 1032, || {
        if let Ok(images) = read_images(&path) {
            assert_eq!(images.pixels.len(), images.count * images.rows * images.cols);
        }
        let _ = read_labels(&path);
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut content = vec![];
    let is_gzip = GzDecoder::new(&data[..size]).take(1 << 16).read_to_end(&mut content).is_ok();
    if !is_gzip || seed.is_multiple_of(4) {
        return fuzzer_mutate(data, size, max_size);
    }
    let length = content.len();
    let room = length.max(16) * 2;
    content.resize(room, 0);
    let length = fuzzer_mutate(&mut content, length, room);
    let mut packed = vec![];
    let level = Compression::new(seed % 10);
    match GzEncoder::new(&content[..length], level).read_to_end(&mut packed) {
        Ok(_) if packed.len() <= max_size => {
            data[..packed.len()].copy_from_slice(&packed);
            packed.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
