//! Tests of weight files.

use super::*;
use crate::preset;

fn saved() -> (tempfile::TempDir, std::path::PathBuf, Generator) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("generator.safetensors");
    let generator = Generator::new(&preset::mlp_003(4), 1, &Device::Cpu).unwrap();
    generator.save(&path, &Provenance { step: 7, ..Provenance::default() }).unwrap();
    (directory, path, generator)
}

fn error(path: &Path) -> String {
    Generator::load(path, &Device::Cpu).unwrap_err().to_string()
}

/// A flipped bit of a weight, or of what the file says of itself.
#[test]
fn damage_is_noticed() {
    let (_directory, path, _) = saved();
    let whole = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&whole).into_owned();
    let at = |part: &str| text.find(part).unwrap();
    for place in [whole.len() - 1, whole.len() - 4001, at("latent-dim") + 13, at("\\\"step\\\":7") + 9] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = error(&path);
        assert!(error.contains("is damaged: its checksums do not fit") || error.contains("shape"), "{error}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(Generator::load(&path, &Device::Cpu).is_ok());
}

#[test]
fn names_of_classes_are_kept() {
    let (_directory, path, _) = saved();
    let config = ModelConfig { classes: Some(2), ..preset::mlp_002() };
    let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
    let mut trained =
        Provenance { class_names: vec!["cat".into(), "dog \u{1f415}".into()], ..Provenance::default() };
    generator.save(&path, &trained).unwrap();
    assert_eq!(Generator::load(&path, &Device::Cpu).unwrap().1, trained);
    trained.class_names.pop();
    generator.save(&path, &trained).unwrap();
    assert!(error(&path).contains("has names of 1 classes, and its model has 2 classes"));
}

#[test]
fn a_generator_comes_back_as_it_was_in_equal_bytes() {
    let (_directory, path, generator) = saved();
    let (loaded, trained) = Generator::load(&path, &Device::Cpu).unwrap();
    assert_eq!(trained.step, 7);
    assert_eq!(loaded.config(), generator.config());
    let first = std::fs::read(&path).unwrap();
    loaded.save(&path, &trained).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

#[test]
fn a_state_dict_is_read_under_the_names_of_pytorch() {
    let (_directory, path, generator) = saved();
    let state = generator.params().state_dict();
    let with = |change: &dyn Fn(&str) -> String| {
        let tensors = state.iter().map(|(name, tensor)| (change(name), tensor.clone())).collect();
        write_tensors(&path, tensors, None).unwrap();
        Generator::load_state_dict(&path, generator.config(), &Device::Cpu).map_err(|e| e.to_string())
    };
    let bare = |name: &str| name.strip_prefix("model.").unwrap().to_owned();
    for change in [
        &(|name: &str| name.to_owned()) as &dyn Fn(&str) -> String,
        &bare,
        &|name| format!("module.{name}"),
        &|name| format!("main.{}", bare(name)),
        &|name| format!("_orig_mod.module.main.{}", bare(name)),
    ] {
        let loaded = with(change).unwrap();
        for ((name, read), (_, written)) in loaded.params().state_dict().iter().zip(&state) {
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(read), values(written), "{name}");
        }
    }
    // Only what is in front of all names is taken off.
    let one = |name: &str| if name == "model.0.bias" { format!("main.{name}") } else { name.to_owned() };
    assert!(with(&one).unwrap_err().ends_with("tensor model.0.bias of shape [128] is missing"));
    write_tensors(&path, vec![], None).unwrap();
    let empty = Generator::load_state_dict(&path, generator.config(), &Device::Cpu).unwrap_err();
    assert!(empty.to_string().ends_with("tensor model.0.weight of shape [128, 4] is missing"), "{empty}");
}

#[test]
fn the_first_bad_tensor_is_the_same_in_every_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    let write = |tensors: &serde_json::Value, bytes: usize| {
        let header = tensors.to_string();
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length, header.as_bytes(), &vec![0; bytes]].concat()).unwrap();
        read_tensors(&path).unwrap_err().to_string()
    };
    let names: Vec<String> = (0..20).map(|i| format!("t{i:02}")).collect();
    let unsupported = names.iter().enumerate().map(|(i, name)| {
        let tensor = serde_json::json!({"dtype": "BOOL", "shape": [1], "data_offsets": [i, i + 1]});
        (name.clone(), tensor)
    });
    let unsupported = serde_json::Value::Object(unsupported.collect());
    let overlapping = names.iter().map(|name| {
        (name.clone(), serde_json::json!({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}))
    });
    let overlapping = serde_json::Value::Object(overlapping.collect());
    for _ in 0..5 {
        let error = write(&unsupported, 20);
        assert!(error.ends_with("tensor t00: unsupported type BOOL"), "{error}");
        let error = write(&overlapping, 4);
        assert!(error.ends_with("(tensors overlap or leave a gap)"), "{error}");
    }
}

#[test]
fn a_damaged_or_foreign_file_is_named() {
    let (_directory, path, generator) = saved();
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(error(&path).contains("generator.safetensors: is truncated or not a safetensors file"));
    }
    for (bytes, what) in [
        (&b"PK\x03\x04 and more: x/data.pkl"[..], "has no model description"),
        (b"PK\x03\x04 and more: 00000/img00000000.png", "is a zip archive, not a safetensors file"),
        (b"\x80\x02\x8a\nl\xfc", "is a file of PyTorch"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture"),
        (b"seed = 1\n[model]\n", "is text, not a safetensors file"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert!(error(&path).contains(what), "{}", error(&path));
    }
    std::fs::write(&path, b"\xff\xff\xff\xff\xff\xff\xff\x7fhello").unwrap();
    assert!(error(&path).contains("not a safetensors file"));
    write_tensors(&path, generator.params().state_dict(), None).unwrap();
    assert!(error(&path).contains("has no model description"));
    write_tensors(&path, generator.params().state_dict(), Some("{}".into())).unwrap();
    assert!(error(&path).contains("unreadable model description"));
    let other =
        Description { model: preset::mlp_002(), trained: Provenance::default(), sha256: String::new() };
    let json = serde_json::to_string(&other).unwrap();
    write_tensors(&path, generator.params().state_dict(), Some(json)).unwrap();
    assert!(error(&path).contains("tensor model.0.weight: expected shape [256, 100], found [128, 4]"));
    std::fs::remove_file(&path).unwrap();
    assert!(error(&path).contains("generator.safetensors: No such file"));
}
