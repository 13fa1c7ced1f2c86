//! An array of numpy, `.npy` or `.npz`, as `--latents` and `--samples` read it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = gan_fuzz::file("array.npy", input);
    // A boolean becomes a number of four bytes, in two orders. In a `.npz` file, a byte can become
    // 1032 bytes before that.
    let is_packed = input.starts_with(b"PK");
    let multiple = 16 * if is_packed { 1032 } else { 1 };
    gan_fuzz::memory::limit(input.len(), multiple, || {
        if let Ok((shape, values)) = gan_cli::fuzzing::array(&path) {
            assert_eq!(shape.iter().product::<u64>(), values.len() as u64);
            assert!(values.iter().all(|value| value.is_finite()));
        }
    });
});
