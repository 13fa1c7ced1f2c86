//! Weight files. They are safetensors that PyTorch's `load_state_dict` takes as they are. A
//! generator's file also holds a description of the generator.

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::generator::Generator;
use candle_core::{Device, Tensor, safetensors::Load};
use gan_files::write_atomically;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
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
}

#[derive(Serialize, Deserialize)]
struct Description {
    model: ModelConfig,
    trained: Provenance,
}

impl Generator {
    /// Writes the weights with the model's configuration. After an error or a crash, the file is
    /// complete or not there.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn save(&self, path: &Path, trained: &Provenance) -> Result<()> {
        let description = Description { model: self.config().clone(), trained: trained.clone() };
        let json = serde_json::to_string(&description).map_err(|e| ModelError::file(path, e))?;
        write_tensors(path, self.params().state_dict(), Some(json))
    }

    /// Reads a file that [`Self::save`] wrote.
    ///
    /// # Errors
    /// A file that is missing, truncated, not safetensors or not a generator's; tensors that do
    /// not fit the model in the description.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, Provenance)> {
        let (tensors, json) = read_tensors(path)?;
        let json = json.ok_or_else(|| {
            ModelError::file(path, "has no model description: expected a generator that was trained here")
        })?;
        let Description { model, trained } = serde_json::from_str(&json)
            .map_err(|e| ModelError::file(path, format!("has an unreadable model description: {e}")))?;
        let generator = Self::from_tensors(&model, tensors, device).map_err(|e| ModelError::file(path, e))?;
        Ok((generator, trained))
    }
}

/// Writes tensors and, if given, a description. After an error or a crash, the file is complete
/// or not there.
///
/// # Errors
/// A path that cannot be written.
pub fn write_tensors(path: &Path, tensors: Vec<(String, Tensor)>, description: Option<String>) -> Result<()> {
    let metadata = description.map(|json| HashMap::from([(KEY.to_owned(), json)]));
    let bytes = safetensors::serialize(tensors, metadata).map_err(|e| ModelError::file(path, e))?;
    Ok(write_atomically(path, &bytes)?)
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
    let not_safetensors = |e: safetensors::SafeTensorError| {
        ModelError::file(path, format!("is truncated or not a safetensors file ({e})"))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
    let description = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY).cloned());
    let mut tensors = HashMap::new();
    for (name, view) in SafeTensors::deserialize(bytes).map_err(not_safetensors)?.iter() {
        let tensor = view.load(&Device::Cpu).map_err(|_| {
            ModelError::file(path, format!("tensor {name}: unsupported type {:?}", view.dtype()))
        })?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok((tensors, description))
}

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
    fn a_damaged_or_foreign_file_is_named() {
        let (_directory, path, generator) = saved();
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 7, 100, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(error(&path).contains("generator.safetensors: is truncated or not a safetensors file"));
        }
        std::fs::write(&path, b"\xff\xff\xff\xff\xff\xff\xff\x7fhello").unwrap();
        assert!(error(&path).contains("not a safetensors file"));
        write_tensors(&path, generator.params().state_dict(), None).unwrap();
        assert!(error(&path).contains("has no model description"));
        write_tensors(&path, generator.params().state_dict(), Some("{}".into())).unwrap();
        assert!(error(&path).contains("unreadable model description"));
        let other = Description { model: preset::mlp_002(), trained: Provenance::default() };
        let json = serde_json::to_string(&other).unwrap();
        write_tensors(&path, generator.params().state_dict(), Some(json)).unwrap();
        assert!(error(&path).contains("tensor model.0.weight: expected shape [256, 100], found [128, 4]"));
        std::fs::remove_file(&path).unwrap();
        assert!(error(&path).contains("generator.safetensors: No such file"));
    }
}
