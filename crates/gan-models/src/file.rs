//! Weight files. They are safetensors that PyTorch's `load_state_dict` takes as they are. A
//! generator's file also holds a description of the generator.

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::generator::Generator;
use crate::pth::{is_of_pytorch, read_state_dict};
use crate::sequential::MODEL;
use candle_core::{Device, Tensor, safetensors::Load};
use gan_files::{is_sealed, seal, sha256, write_atomically};
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The only key under `__metadata__` in a safetensors header. There is one key only, because the
/// format's writer puts several keys in random order, and equal runs must give equal bytes.
const KEY: &str = "gan";

/// Where a generator's weights come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Provenance {
    /// Name of the training data.
    pub data: String,
    /// Number of training steps.
    pub step: u64,
    /// Number of real images that training used.
    pub images: u64,
    /// Seed of the run.
    pub seed: u64,
    /// The objective's name.
    pub loss: String,
    /// Names of the classes, in the order of their labels. Empty if the model has no classes, or
    /// these have no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The settings of the run that determine its weights, by dotted key. The run chooses them.
    /// Empty in files of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// It is sealed with a checksum of its own.
#[derive(Serialize, Deserialize)]
struct Description {
    model: ModelConfig,
    trained: Provenance,
    /// SHA-256 of the bytes of the tensors. Empty in files of earlier versions.
    #[serde(default)]
    sha256: String,
}

impl Generator {
    /// Writes the weights with the model's configuration. After an error or a crash, the file is
    /// complete or not there.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn save(&self, path: &Path, trained: &Provenance) -> Result<()> {
        Ok(write_atomically(path, &self.to_bytes(trained)?)?)
    }

    /// The bytes of the file that [`Self::save`] writes.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn to_bytes(&self, trained: &Provenance) -> Result<Vec<u8>> {
        let description =
            |sha256| Description { model: self.config().clone(), trained: trained.clone(), sha256 };
        described(Path::new("generator"), self.params().state_dict(), description)
    }

    /// Reads a file that [`Self::save`] wrote.
    ///
    /// # Errors
    /// A file that is missing, truncated, damaged, not safetensors or not a generator's; tensors that do
    /// not fit the model in the description.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, Provenance)> {
        let bytes = gan_files::read(path)?;
        // Files of PyTorch have no description. `load_state_dict` reads them.
        let (tensors, json) =
            if is_of_pytorch(&bytes) { (HashMap::new(), None) } else { parse_tensors(path, &bytes)? };
        let json = json.ok_or_else(|| ModelError::Undescribed { path: path.to_owned() })?;
        let Description { model, trained, sha256: expected } = serde_json::from_str(&json).map_err(|e| {
            let content: Option<serde_json::Value> = serde_json::from_str(&json).ok();
            let kind = content.as_ref().and_then(|content| content.get("kind")?.as_str());
            ModelError::file(
                path,
                match kind {
                    Some(kind) => format!("expected a generator, found a {kind}"),
                    None => format!("has an unreadable model description: {e}"),
                },
            )
        })?;
        check_described(path, &bytes, &json, &expected)?;
        let (names, classes) = (trained.class_names.len(), model.classes.unwrap_or(0));
        if names > 0 && names != classes {
            let problem = format!("has names of {names} classes, and its model has {classes} classes");
            return Err(ModelError::file(path, problem));
        }
        let generator = Self::from_tensors(&model, tensors, device).map_err(|e| ModelError::file(path, e))?;
        Ok((generator, trained))
    }

    /// Reads the weights of the model `config` with [`read_weights`]. A description in the file is not
    /// used. Try [`Self::load`] first if the file may have one.
    ///
    /// # Errors
    /// A file that [`read_weights`] refuses; tensors that do not fit the model.
    pub fn load_state_dict(path: &Path, config: &ModelConfig, device: &Device) -> Result<Self> {
        Self::from_tensors(config, read_weights(path)?, device).map_err(|e| ModelError::file(path, e))
    }
}

/// Reads the tensors of a network from safetensors, or from a file of `torch.save`, to the CPU. They get
/// the names of this crate.
///
/// In the file, the names may be those of an `nn.Sequential` alone (`0.weight`) or of one that is an
/// attribute `model` or `main`. `nn.DataParallel` and `torch.compile` put `module.` and `_orig_mod.` in
/// front of all names, which is taken off.
///
/// # Errors
/// A file that is missing, damaged, or of another format.
pub fn read_weights(path: &Path) -> Result<HashMap<String, Tensor>> {
    Ok(renamed(read_state_dict(path)?))
}

/// What PyTorch puts in front of every name.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "main."];

/// Gives the tensors of a state dict the names of this crate: `model.0.weight`.
fn renamed(mut tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let is_layer = |name: &String| name.starts_with(|first: char| first.is_ascii_digit());
    let all = |tensors: &HashMap<String, Tensor>, has: &dyn Fn(&String) -> bool| {
        !tensors.is_empty() && tensors.keys().all(has)
    };
    while let Some(wrapper) =
        WRAPPERS.iter().find(|wrapper| all(&tensors, &|name| name.starts_with(**wrapper)))
    {
        tensors =
            tensors.into_iter().map(|(name, tensor)| (name[wrapper.len()..].to_owned(), tensor)).collect();
    }
    if all(&tensors, &is_layer) {
        tensors = tensors.into_iter().map(|(name, tensor)| (format!("{MODEL}.{name}"), tensor)).collect();
    }
    tensors
}

/// Writes tensors and, if given, a description. After an error or a crash, the file is complete
/// or not there.
///
/// # Errors
/// A path that cannot be written.
pub fn write_tensors(path: &Path, tensors: Vec<(String, Tensor)>, description: Option<String>) -> Result<()> {
    Ok(write_atomically(path, &bytes_of(path, tensors, description)?)?)
}

/// The bytes of a file that [`write_tensors`] writes without a description. Errors call the file `path`.
///
/// # Errors
/// Only errors of the device.
pub fn tensor_bytes(path: &Path, tensors: Vec<(String, Tensor)>) -> Result<Vec<u8>> {
    bytes_of(path, tensors, None)
}

fn bytes_of(path: &Path, tensors: Vec<(String, Tensor)>, description: Option<String>) -> Result<Vec<u8>> {
    let metadata = description.map(|json| HashMap::from([(KEY.to_owned(), json)]));
    safetensors::serialize(tensors, metadata).map_err(|e| ModelError::file(path, e))
}

/// The bytes of a safetensors file with a description. `description` makes it from the SHA-256 of the values
/// of the tensors. Then [`check_described`] notices damage. Errors call the file `path`.
///
/// # Errors
/// Tensors that are not on the CPU; a description that is no JSON object.
pub fn described<D: Serialize>(
    path: &Path,
    tensors: Vec<(String, Tensor)>,
    description: impl FnOnce(String) -> D,
) -> Result<Vec<u8>> {
    let bytes = bytes_of(path, tensors.clone(), None)?;
    let json = serde_json::to_vec(&description(sha256(&[values(&bytes)])));
    let json = seal(&json.map_err(|e| ModelError::file(path, e))?);
    bytes_of(path, tensors, Some(String::from_utf8(json).map_err(|e| ModelError::file(path, e))?))
}

/// Checks that the values of the tensors in a file have the SHA-256 `expected`, and that the description is
/// as [`described`] wrote it. Files of earlier versions have no SHA-256, and are not checked.
///
/// # Errors
/// A file that is damaged.
pub fn check_described(path: &Path, file: &[u8], description: &str, expected: &str) -> Result<()> {
    if expected.is_empty() || (is_sealed(description.as_bytes()) && sha256(&[values(file)]) == expected) {
        return Ok(());
    }
    let problem = "is damaged: its checksums do not fit (a program that changes weights must leave out the \
                   description in the metadata)";
    Err(ModelError::file(path, problem))
}

/// The part of a safetensors file behind its header: the values of the tensors.
fn values(file: &[u8]) -> &[u8] {
    let header = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    file.get(8usize.saturating_add(header)..).unwrap_or_default()
}

/// Reads every tensor of a file to the CPU, and the description if there is one.
///
/// # Errors
/// A file that is missing, truncated or not safetensors; a path that is not a regular file.
pub fn read_tensors(path: &Path) -> Result<(HashMap<String, Tensor>, Option<String>)> {
    parse_tensors(path, &gan_files::read(path)?)
}

/// [`read_tensors`] for the bytes of a file. Errors call the file `path`.
///
/// # Errors
/// Bytes that are truncated or not safetensors.
pub fn parse_tensors(path: &Path, bytes: &[u8]) -> Result<(HashMap<String, Tensor>, Option<String>)> {
    let not_safetensors = |e: SafeTensorError| {
        if let Some(what) = foreign(bytes) {
            return ModelError::file(path, what);
        }
        // If two tensors have the same place, the library names one of them at random.
        let problem = match e {
            SafeTensorError::InvalidOffset(_) => "tensors overlap or leave a gap".to_owned(),
            other => other.to_string(),
        };
        ModelError::file(path, format!("is truncated or not a safetensors file ({problem})"))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
    let description = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY).cloned());
    let file = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
    // The library's order changes with each run, and the first bad tensor is reported.
    let mut views: Vec<_> = file.iter().collect();
    views.sort_by_key(|(name, _)| *name);
    let mut tensors = HashMap::new();
    for (name, view) in views {
        let tensor = view.load(&Device::Cpu).map_err(|_| {
            ModelError::file(path, format!("tensor {name}: unsupported type {:?}", view.dtype()))
        })?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok((tensors, description))
}

/// What a file is that is often given in place of safetensors, and what to do. Its first bytes say
/// it.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let known = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    // The first bytes of safetensors are a length with zeros at its end.
    let start = &bytes[..bytes.len().min(512)];
    let text = "is text, not a safetensors file (--config takes a configuration)";
    // Files of torch.save begin with this entry.
    let is_pytorch = start.windows(8).any(|name| name == b"data.pkl");
    let known = if known == Some(ZIP) && is_pytorch { Some(PYTORCH) } else { known };
    known.or_else(|| (start.len() > 8 && start.iter().all(is_text)).then_some(text))
}

const PYTORCH: &str = "is a file of PyTorch, not a safetensors file; in Python, convert it: \
                       safetensors.torch.save_file(torch.load(FILE, weights_only=True), \"x.safetensors\")";

const ZIP: &str = "is a zip archive, not a safetensors file";

const FOREIGN: [(&[u8], &str); 6] = [
    // torch.save writes a ZIP archive, or a pickle in older versions.
    (b"PK\x03\x04", ZIP),
    (b"\x80\x02", PYTORCH),
    (b"\x89PNG", "is a PNG picture, not a safetensors file"),
    (b"\xff\xd8\xff", "is a JPEG picture, not a safetensors file"),
    (b"\x93NUMPY", "is a .npy file, not a safetensors file"),
    (b"\x1f\x8b", "is gzipped, not a safetensors file: unpack it first"),
];

#[cfg(test)]
mod tests {
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
            assert!(
                error.contains("is damaged: its checksums do not fit") || error.contains("shape"),
                "{error}"
            );
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
}
