//! The files of images that `gan-cli sample` writes.

use crate::aside;
use crate::draw::Drawing;
use crate::npy;
use crate::signals::{Interrupted, Stop};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gan_data::{GridBuilder, save_image};
use gan_files::{AtomicFile, sync_directory};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Number of bytes between two looks for a signal.
const PIECE: usize = 1 << 24;

pub(super) fn grid(images: Drawing<'_>, columns: usize, out: &Path, stop: &Stop) -> Result<()> {
    let [count, channels, height, width] = images.shape();
    let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
    for chunk in until(stop, images) {
        grid.push(&chunk?)?;
    }
    let grid = grid.finish();
    let Some(png) = aside::compute(move || grid.to_png(), || stop.check().is_err())?.transpose()? else {
        return Err(Interrupted.into());
    };
    let at = || out.display().to_string();
    let mut file = AtomicFile::create(out)?;
    for piece in png.chunks(PIECE) {
        stop.check()?;
        file.write_all(piece).with_context(at)?;
    }
    stop.check()?;
    Ok(file.commit()?)
}

pub(super) fn npy(images: Drawing<'_>, out: &Path, stop: &Stop) -> Result<()> {
    let header = npy::written(&images.shape());
    array(images, &header, out, stop)
}

/// Writes the file without the library, whose writer needs the whole tensor at once. The format is
/// a length, a JSON header padded with spaces to a multiple of 8, and the bytes.
pub(super) fn safetensors(images: Drawing<'_>, out: &Path, stop: &Stop) -> Result<()> {
    let shape = images.shape();
    let bytes = shape.iter().product::<usize>() * size_of::<f32>();
    let json =
        serde_json::json!({ "images": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } });
    let mut json = json.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let header = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
    array(images, &header, out, stop)
}

/// Writes a header and the values as f32.
fn array(images: Drawing<'_>, header: &[u8], out: &Path, stop: &Stop) -> Result<()> {
    let at = || out.display().to_string();
    let mut file = AtomicFile::create(out)?;
    file.write_all(header).with_context(at)?;
    for chunk in until(stop, images) {
        let values = chunk?.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes).with_context(at)?;
    }
    stop.check()?;
    Ok(file.commit()?)
}

/// Writes one PNG file per image. The directory gets them only when all of them are complete, and
/// then it loses the numbered files that it held.
pub(super) fn directory(images: Drawing<'_>, out: &Path, stop: &Stop) -> Result<()> {
    let at = || out.display().to_string();
    let is_new = !out.exists();
    std::fs::create_dir_all(out).with_context(at)?;
    let unfinished = tempfile::Builder::new().prefix(".sample-").tempdir_in(out).with_context(at)?;
    let names = match pictures(images, unfinished.path(), stop) {
        Ok(names) => names,
        Err(error) => {
            drop(unfinished);
            if is_new {
                // If this fails, an empty directory stays. The first error says more.
                let _ = std::fs::remove_dir(out);
            }
            return Err(error);
        }
    };
    for old in numbered(out)? {
        std::fs::remove_file(out.join(old)).with_context(at)?;
    }
    for name in names {
        std::fs::rename(unfinished.path().join(&name), out.join(&name)).with_context(at)?;
    }
    Ok(sync_directory(out)?)
}

/// Writes `0.png`, `1.png`, ..., with as many digits as the last one needs. Returns their names.
fn pictures(images: Drawing<'_>, directory: &Path, stop: &Stop) -> Result<Vec<String>> {
    let digits = (images.count() - 1).to_string().len();
    let mut names = vec![];
    for chunk in until(stop, images) {
        let chunk = chunk?;
        for i in 0..chunk.dim(0)? {
            stop.check()?;
            let name = format!("{:0digits$}.png", names.len());
            save_image(directory.join(&name), &chunk.get(i)?)?;
            names.push(name);
        }
    }
    Ok(names)
}

/// The files in a directory whose names are a number and `.png`, in order. A directory that does
/// not exist has none.
pub(super) fn numbered(directory: &Path) -> Result<Vec<PathBuf>> {
    let at = || directory.display().to_string();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(at),
    };
    let mut names = vec![];
    for entry in entries {
        let entry = entry.with_context(at)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".png"));
        let is_number = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && !entry.file_type().with_context(at)?.is_dir() {
            names.push(name.into());
        }
    }
    names.sort();
    Ok(names)
}

/// The images in chunks, until a signal comes.
fn until(stop: &Stop, images: Drawing<'_>) -> impl Iterator<Item = Result<Tensor>> {
    images.chunks().map(|chunk| stop.check().and(chunk))
}
