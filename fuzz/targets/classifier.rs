//! A classifier's file, as `evaluate --features` reads it. The mutated part is the header, because
//! the weights of a classifier have 400 kB.
#![no_main]

use candle_core::Device;
use gan_metrics::Classifier;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = gan_fuzz::choice(input) else { return };
    let file = if choice % 2 == 0 { content.to_vec() } else { with_weights(content) };
    let path = gan_fuzz::file("classifier.safetensors", &file);
    gan_fuzz::memory::limit(file.len(), 64, || {
        if let Ok(classifier) = Classifier::load(&path, &Device::Cpu) {
            assert!(classifier.record().classes > 0);
        }
    });
});

/// A file with this header and the weights of the classifier of digits.
fn with_weights(header: &[u8]) -> Vec<u8> {
    static WEIGHTS: OnceLock<Vec<u8>> = OnceLock::new();
    let weights = WEIGHTS.get_or_init(|| {
        let path = gan_fuzz::directory().join("pinned.safetensors");
        let classifier = Classifier::mnist(&Device::Cpu).expect("the pinned classifier");
        classifier.save(&path).expect("a file");
        let file = std::fs::read(&path).expect("the same file");
        let header = u64::from_le_bytes(file[..8].try_into().expect("eight bytes"));
        file[8 + header as usize..].to_vec()
    });
    [&(header.len() as u64).to_le_bytes(), header, weights].concat()
}
