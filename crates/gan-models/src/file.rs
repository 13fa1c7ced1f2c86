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
    /// Number of training images of each class. Empty if the model has no classes, and in files of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
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
mod tests;
