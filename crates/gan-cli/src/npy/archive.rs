//! `.npz` files: zip archives of `.npy` files.

use super::{Array, foreign};
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Number of arrays that an error names.
const NAMED: usize = 10;

/// Reads the only array of an archive. `read` gets its bytes and their number.
pub(super) fn read(file: File, read: impl FnOnce(&mut dyn Read, u64) -> Result<Array>) -> Result<Array> {
    let mut archive = ZipArchive::new(BufReader::new(file)).context("is a damaged .npz file")?;
    if archive.has_duplicate_names() {
        bail!("is a .npz file with two entries of the same name: nobody knows which of them is meant");
    }
    let names: Result<Vec<String>, _> = archive.file_names().map(|name| name.map(Cow::into_owned)).collect();
    let mut names = names.context("is a damaged .npz file")?;
    names.sort();
    if names.iter().any(|name| name.ends_with("/data.pkl")) {
        bail!("{}", foreign::PYTORCH);
    }
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "npy"));
    match &names[..] {
        [] => bail!("is a zip archive without a .npy file: expected numpy.savez's"),
        [name] => {
            let mut entry = archive.by_name(name).with_context(|| format!("array {name:?}"))?;
            let length = entry.size();
            read(&mut entry, length).with_context(|| format!("array {name:?}"))
        }
        names => {
            let shown: Vec<_> = names.iter().take(NAMED).map(|name| name.trim_end_matches(".npy")).collect();
            let others = if names.len() > NAMED { ", ..." } else { "" };
            bail!(
                "holds {} arrays: {}{others}; expected one (numpy.save writes one array)",
                names.len(),
                shown.join(", ")
            )
        }
    }
}
