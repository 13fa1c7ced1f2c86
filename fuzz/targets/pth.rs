//! A state dict that `torch.save` wrote, in either of its formats.
#![no_main]

use gan_models::read_state_dict;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = gan_fuzz::file("a.pth", input);
    gan_fuzz::memory::limit(input.len(), 64, || {
        if let Ok(tensors) = read_state_dict(&path) {
            let bytes: usize =
                tensors.values().map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum();
            assert!(bytes <= 4 * input.len());
        }
    });
});
