//! Finds the weights of the Inception network: the file that the user names, or the one in PyTorch's
//! cache. With the feature `hub`, a missing file is downloaded into this cache.

#[cfg(feature = "hub")]
mod download;

use crate::terminal;
use anyhow::{Context, Result, bail};
use gan_files::sha256;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name of the file that `pytorch-fid` uses.
const NAME: &str = "pt_inception-2015-12-05-6726825d.pth";
/// The directory of the file on the web: a release of the repository of `pytorch-fid`.
const ADDRESS: &str = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights";
/// The hash of the file. By PyTorch's convention, its name contains the first eight digits.
const SHA256: &str = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";
/// The size of the file.
#[cfg(feature = "hub")]
const BYTES: u64 = 95_628_359;

/// The file `given` by the user, or else the one in PyTorch's cache.
///
/// # Errors
/// A file with another content than its name says. No file, if this build cannot download it or the
/// download fails.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => cached(cache(|name| std::env::var_os(name))?)?,
    };
    check(&path)?;
    Ok(path)
}

/// The file in the cache `directory`.
fn cached(directory: PathBuf) -> Result<PathBuf> {
    let path = directory.join(NAME);
    if !path.exists() {
        obtain(&path)?;
    }
    Ok(path)
}

#[cfg(feature = "hub")]
fn obtain(path: &Path) -> Result<()> {
    let remote = download::Remote { address: format!("{ADDRESS}/{NAME}"), sha256: SHA256, bytes: BYTES };
    remote.save(path).context("the features inception need --weights FILE or a download")
}

#[cfg(not(feature = "hub"))]
fn obtain(path: &Path) -> Result<()> {
    Err(crate::exit::usage(format!(
        "the features inception need --weights FILE, or the file {}: this build cannot download it \
         (feature hub) from {ADDRESS}/{NAME}",
        terminal::name(path)
    )))
}

/// The directory in which PyTorch, and so `pytorch-fid`, keeps downloaded weights. `variable` reads
/// an environment variable.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let torch = set("TORCH_HOME").or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
        Some(cache?.join("torch"))
    });
    let torch = torch.context("the features inception need --weights FILE: there is no home directory")?;
    Ok(torch.join("hub").join("checkpoints"))
}

/// Checks a file whose name ends as that of `pytorch-fid`'s weights: it must be this file. An
/// incomplete download has another hash.
fn check(path: &Path) -> Result<()> {
    let digits = &SHA256[..8];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(&format!("-{digits}.pth")) {
        return Ok(());
    }
    let found = sha256(&[&gan_files::read(path)?]);
    if found != SHA256 {
        bail!(
            "{}: expected a SHA-256 that begins with {digits} as the name says, found {}: the file is \
             incomplete or another one",
            terminal::name(path),
            &found[..8]
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_pytorchs() {
        let with = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            cache(value).unwrap()
        };
        let [torch, general] = [("TORCH_HOME", "/t"), ("XDG_CACHE_HOME", "/c")];
        assert_eq!(with(&[torch, general]), Path::new("/t/hub/checkpoints"));
        assert_eq!(with(&[("TORCH_HOME", ""), general]), Path::new("/c/torch/hub/checkpoints"));
        assert!(with(&[]).ends_with(".cache/torch/hub/checkpoints"));
    }

    #[test]
    fn a_file_with_the_weights_name_must_be_the_weights() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights-inception-2015-12-05-6726825d.pth");
        std::fs::write(&path, "abc").unwrap();
        let error = find(Some(&path)).unwrap_err().to_string();
        let expected =
            "6726825d.pth: expected a SHA-256 that begins with 6726825d as the name says, found ba7816bf";
        assert!(error.contains(expected), "{error}");
        let path = directory.path().join("converted-6726825d.safetensors");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(find(Some(&path)).unwrap(), path);
    }

    #[test]
    fn the_hash_begins_with_the_digits_in_the_name() {
        assert!(NAME.ends_with(&format!("-{}.pth", &SHA256[..8])) && SHA256.len() == 64);
    }
}
