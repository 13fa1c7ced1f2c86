//! A checkpoint in which one file is the input. For most choices the checksums are computed
//! again, because otherwise none of these files reaches the code behind them.
#![no_main]

use candle_core::{Device, Tensor};
use gan_fuzz::model;
use gan_train::checkpoint;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

const FILES: [&str; 4] =
    ["state.json", "generator.safetensors", "discriminator.safetensors", "optimizer.safetensors"];

struct Saved {
    path: PathBuf,
    files: [Vec<u8>; 4],
}

fuzz_target!(|input: &[u8]| {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    let saved = SAVED.get_or_init(save);
    let Some((choice, content)) = gan_fuzz::choice(input) else { return };
    let index = usize::from(choice) % FILES.len();
    let is_sealed = choice < 128;
    let mut files = saved.files.clone();
    files[index] = content.to_vec();
    if is_sealed && index > 0 {
        files[0] = with_hash(&saved.files[0], FILES[index], content);
    }
    if is_sealed {
        files[0] = gan_files::seal(&files[0]);
    }
    for (name, content) in FILES.iter().zip(&files) {
        std::fs::write(saved.path.join(name), content).expect("room for a file");
    }
    let read = || {
        let (model, train) = (model::model(), model::train());
        // What a run asks first. It is an error if no checkpoint is whole.
        let newest = checkpoint::newest(gan_fuzz::directory());
        assert!(newest.is_err() || newest.is_ok_and(|newest| newest.as_ref() == Some(&saved.path)));
        checkpoint::load(&saved.path, &model, &train, 1, &BTreeMap::new(), &Device::Cpu)
    };
    if let Ok((mut trainer, state)) = gan_fuzz::memory::limit(input.len(), 64, read) {
        assert_eq!((trainer.steps_done(), state.step), (1, 1));
        let images = Tensor::zeros((2, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).expect("images");
        // Weights may be anything, so that a step may fail.
        let _ = trainer.step(&images.into());
    }
});

/// A checkpoint after one step.
fn save() -> Saved {
    let mut trainer = model::trainer();
    let images = Tensor::zeros((2, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).expect("images");
    trainer.step(&images.into()).expect("a step");
    let (settings, notes) = (BTreeMap::new(), serde_json::Value::Null);
    let provenance = gan_models::Provenance::default();
    let path = checkpoint::save(gan_fuzz::directory(), &trainer, &provenance, &settings, 0., notes);
    let path = path.expect("a checkpoint");
    let files = FILES.map(|name| std::fs::read(path.join(name)).expect("a file of the checkpoint"));
    Saved { path, files }
}

/// The content of `state.json` without its checksum, and with the hash of another file.
fn with_hash(state: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut state: serde_json::Value = serde_json::from_slice(state).expect("JSON");
    state["files"][name] = gan_files::sha256(&[content]).into();
    state.as_object_mut().expect("an object").remove("crc32");
    serde_json::to_vec(&state).expect("JSON")
}
