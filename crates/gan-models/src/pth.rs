//! State dicts that PyTorch's `torch.save` wrote, in both of its formats: the ZIP archive, and the
//! stream that PyTorch before 1.6 wrote.
//!
//! Such a file contains a program for Python's unpickler. Nothing of it is executed here. The
//! reader knows the few instructions that build a state dict, and refuses all others.

mod pickle;

use crate::error::{ModelError, Result};
use crate::file::parse_tensors;
use candle_core::{DType, Device, Tensor};
use pickle::{Reader, Storage, StoredTensor};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::Path;

/// What the older format begins with: a pickled magic number and a pickled version.
const STREAM: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// All tensors together may have this multiple of the file's bytes. Tied weights share a storage, but
/// thousands of tensors that share one could fill the memory.
const SHARED: usize = 4;

type Problem<T> = std::result::Result<T, String>;

/// Reads every tensor of a state dict to the CPU: from safetensors, or from a file that `torch.save`
/// wrote. The first bytes tell which it is.
///
/// # Errors
/// A file that is missing, damaged or of another format, or holds something else than a dict of
/// tensors by name; numbers of a type that candle does not have.
pub fn read_state_dict(path: &Path) -> Result<HashMap<String, Tensor>> {
    let bytes = gan_files::read(path)?;
    if bytes.starts_with(ARCHIVE) || bytes.starts_with(STREAM) {
        return parse(path, &bytes);
    }
    Ok(parse_tensors(path, &bytes)?.0)
}

/// Whether a file is one that `torch.save` wrote, by its first bytes.
pub(crate) fn is_of_pytorch(bytes: &[u8]) -> bool {
    /// The pickle is the first entry of the archive, in a directory with the name of the file.
    const ENOUGH: usize = 512;
    let start = &bytes[..bytes.len().min(ENOUGH)];
    bytes.starts_with(STREAM)
        || bytes.starts_with(ARCHIVE) && start.windows(8).any(|name| name == b"data.pkl")
}

fn parse(path: &Path, bytes: &[u8]) -> Result<HashMap<String, Tensor>> {
    let tensors = if bytes.starts_with(ARCHIVE) { archive(bytes) } else { stream(bytes) };
    tensors.map_err(|problem| {
        ModelError::file(path, format!("is damaged or not a state dict of PyTorch ({problem})"))
    })
}

fn archive(bytes: &[u8]) -> Problem<HashMap<String, Tensor>> {
    let broken = |e: &dyn std::fmt::Display| format!("the ZIP archive: {e}");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let mut left = bytes.len() as u64;
    let mut entry = |name: &str| {
        let mut entry = archive.by_name(name).map_err(|e| broken(&format!("{name}: {e}")))?;
        // PyTorch does not compress. So an entry is no larger than the file.
        if entry.compression() != zip::CompressionMethod::Stored || entry.size() > bytes.len() as u64 {
            return Err(broken(&format!("{name} is compressed")));
        }
        left = left.checked_sub(entry.size()).ok_or_else(|| broken(&"its entries overlap"))?;
        let mut content = vec![];
        entry.read_to_end(&mut content).map_err(|e| broken(&format!("{name}: {e}")))?;
        Ok(content)
    };
    let names = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let names: Vec<String> =
        names.file_names().filter_map(|name| name.ok().map(std::borrow::Cow::into_owned)).collect();
    let Some(directory) = names.iter().find_map(|name| name.strip_suffix("data.pkl")) else {
        return Err(broken(&"no data.pkl in it"));
    };
    let (tensors, _) = pickle::state_dict(&entry(&format!("{directory}data.pkl"))?)?;
    let mut storages = HashMap::new();
    for (_, tensor) in &tensors {
        let key = &tensor.storage.key;
        if !storages.contains_key(key) {
            storages.insert(key.clone(), entry(&format!("{directory}data/{key}"))?);
        }
    }
    assemble(&tensors, bytes.len(), |storage| storages.get(&storage.key).map(Vec::as_slice))
}

fn stream(bytes: &[u8]) -> Problem<HashMap<String, Tensor>> {
    let rest = bytes.strip_prefix(STREAM).ok_or("other first bytes")?;
    // What follows is a description of the machine, the state dict, the keys of the storages in
    // the order of the file, and the storages.
    let mut reader = Reader::new(rest);
    reader.skip()?;
    let (tensors, read) = pickle::state_dict(reader.rest())?;
    reader.advance(read)?;
    let keys = reader.texts()?;
    let sizes: HashMap<_, _> =
        tensors.iter().map(|(_, tensor)| (tensor.storage.key.clone(), tensor.storage.dtype)).collect();
    let mut storages = HashMap::new();
    for key in keys {
        let dtype = sizes.get(&key).ok_or_else(|| "it holds more than tensors by name".to_owned())?;
        let count = u64::from_le_bytes(reader.array()?);
        let length = usize::try_from(count).ok().and_then(|n| n.checked_mul(dtype.size_in_bytes()));
        storages.insert(key, reader.take(length.ok_or("the size of a storage")?)?);
    }
    assemble(&tensors, bytes.len(), |storage| storages.get(&storage.key).copied())
}

fn assemble<'a>(
    tensors: &[(String, StoredTensor)],
    file_length: usize,
    storage: impl Fn(&Storage) -> Option<&'a [u8]>,
) -> Problem<HashMap<String, Tensor>> {
    let mut all = HashMap::new();
    let mut left = file_length.saturating_mul(SHARED);
    for (name, tensor) in tensors {
        left = tensor.length().and_then(|length| left.checked_sub(length)).ok_or("tensors share too much")?;
        let bytes = storage(&tensor.storage).ok_or_else(|| format!("no storage of tensor {name}"))?;
        let tensor = tensor.read(bytes).ok_or_else(|| {
            format!("tensor {name} is outside its storage, or repeats its elements as `expand` does")
        })?;
        all.insert(name.clone(), tensor);
    }
    Ok(all)
}

impl StoredTensor {
    /// Number of bytes of the tensor.
    fn length(&self) -> Option<usize> {
        let count = self.shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length))?;
        count.checked_mul(self.storage.dtype.size_in_bytes())
    }

    /// Copies the tensor out of its storage. PyTorch's strides need not be those of a contiguous
    /// tensor.
    fn read(&self, storage: &[u8]) -> Option<Tensor> {
        let Self { shape, strides, offset, storage: Storage { dtype, .. } } = self;
        let size = dtype.size_in_bytes();
        let length = self.length()?;
        // A stride of 0 repeats elements. Weights have none, and it could fill the memory.
        if shape.len() != strides.len() || length > storage.len() {
            return None;
        }
        let count = length / size;
        let mut values = Vec::with_capacity(length);
        let mut index = vec![0usize; shape.len()];
        for _ in 0..count {
            let mut at = *offset;
            for (i, stride) in index.iter().zip(strides) {
                at = at.checked_add(i.checked_mul(*stride)?)?;
            }
            let at = at.checked_mul(size)?;
            values.extend_from_slice(storage.get(at..at.checked_add(size)?)?);
            for (i, length) in index.iter_mut().zip(shape).rev() {
                *i += 1;
                if *i < *length {
                    break;
                }
                *i = 0;
            }
        }
        Tensor::from_raw_buffer(&values, *dtype, shape, &Device::Cpu).ok()
    }
}

/// candle's type for a class of PyTorch's storages.
fn dtype(class: &str) -> Problem<DType> {
    Ok(match class {
        "torch FloatStorage" => DType::F32,
        "torch DoubleStorage" => DType::F64,
        "torch HalfStorage" => DType::F16,
        "torch BFloat16Storage" => DType::BF16,
        "torch LongStorage" => DType::I64,
        "torch ByteStorage" => DType::U8,
        other => return Err(format!("numbers of the type {other}")),
    })
}

#[cfg(test)]
mod tests;
