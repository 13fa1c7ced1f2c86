//! The files of images that `gan-cli sample` writes.

use crate::aside;
use crate::draw::Drawing;
use crate::exit::usage;
use crate::npy;
use crate::signals::{Interrupted, Stop};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gan_data::{GridBuilder, save_image};
use gan_files::{AtomicFile, check_own, sync_directory};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

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
    let header = safetensors_header(images.shape());
    array(images, &header, out, stop)
}

fn safetensors_header(shape: [usize; 4]) -> Vec<u8> {
    let bytes = shape.into_iter().fold(size_of::<f32>(), usize::saturating_mul);
    let json =
        serde_json::json!({ "images": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } });
    let mut json = json.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    [&(json.len() as u64).to_le_bytes()[..], &json].concat()
}

/// Whether a file begins as [`npy`] or [`safetensors`] writes it, or is empty. Others hold weights, or
/// arrays of another program.
pub(super) fn is_of_images(file: &Path) -> Result<bool> {
    const ENOUGH: u64 = 1 << 12;
    let at = || file.display().to_string();
    let mut start = vec![];
    File::open(file).with_context(at)?.take(ENOUGH).read_to_end(&mut start).with_context(at)?;
    Ok(start.is_empty() || begins_as_npy(&start) || begins_as_safetensors(&start))
}

fn begins_as_npy(mut start: &[u8]) -> bool {
    let all = start;
    let shape = npy::Header::read(&mut start).ok().map(|header| header.shape);
    let shape: Option<Vec<usize>> = shape.map(|shape| shape.into_iter().map(|side| side as usize).collect());
    shape.is_some_and(|shape| shape.len() == 4 && all.starts_with(&npy::written(&shape)))
}

fn begins_as_safetensors(start: &[u8]) -> bool {
    let Some((length, json)) = start.split_first_chunk() else { return false };
    let json = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| json.get(..length));
    let json: Option<serde_json::Value> = json.and_then(|json| serde_json::from_slice(json).ok());
    let shape = json.and_then(|mut json| serde_json::from_value(json["images"]["shape"].take()).ok());
    shape.is_some_and(|shape| start.starts_with(&safetensors_header(shape)))
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
    sweep(out);
    let unfinished = Unfinished::within(out).with_context(at)?;
    let place = unfinished.directory.path();
    let names = match pictures(images, place, stop) {
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
    if let Some(taken) = names.iter().map(|name| out.join(name)).find(|path| path.is_dir()) {
        return Err(usage(format!("{}: expected a file or nothing, found a directory", taken.display())));
    }
    for old in numbered(out)? {
        std::fs::remove_file(out.join(old)).with_context(at)?;
    }
    for name in names {
        std::fs::rename(place.join(&name), out.join(&name)).with_context(at)?;
    }
    Ok(sync_directory(out)?)
}

/// The names of directories with pictures of a command that has not ended. Six letters or digits
/// follow.
const UNFINISHED: &str = ".gan-sample-";
const RANDOM: usize = 6;
/// A file in such a directory, which its command has locked.
const LOCK: &str = ".lock";

/// A directory with pictures that are not complete. It is deleted when it is dropped.
struct Unfinished {
    /// The system releases it when the process ends, in whatever way.
    _lock: File,
    directory: TempDir,
}

impl Unfinished {
    fn within(out: &Path) -> std::io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(UNFINISHED).rand_bytes(RANDOM).tempdir_in(out)?;
        let lock = File::create_new(directory.path().join(LOCK))?;
        // A file system without locks has no sweeping either.
        let _ = lock.try_lock();
        Ok(Self { _lock: lock, directory })
    }
}

/// Deletes the directories that a command left in `out` when it was killed. Their lock is free. What
/// cannot be deleted stays, because it harms nobody.
fn sweep(out: &Path) {
    let Ok(entries) = std::fs::read_dir(out) else { return };
    for entry in entries.flatten() {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        let is_ours =
            random.is_some_and(|r| r.len() == RANDOM && r.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if is_directory
            && is_ours
            && check_own(&entry.path().join(LOCK)).is_ok()
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_command_left_is_swept() {
        let out = tempfile::tempdir().unwrap();
        let at = |name: &str| out.path().join(name);
        let alive = Unfinished::within(out.path()).unwrap();
        // A killed process has neither its lock nor a chance to delete anything.
        let dead = Unfinished::within(out.path()).unwrap().directory.keep();
        std::fs::write(dead.join("0.png"), "half").unwrap();
        let others = [".gan-sample-notes", ".gan-sample-a.b.cd", ".gan-sample-Ab3dE9", ".sample-Ab3dE9"];
        for name in others {
            std::fs::create_dir(at(name)).unwrap();
        }
        // One has our name, but no lock.
        std::fs::write(at(".gan-sample-notes").join(LOCK), "").unwrap();
        std::fs::write(at(".gan-sample-000000"), "a file").unwrap();
        sweep(out.path());
        let mut left: Vec<_> = others.into_iter().chain([".gan-sample-000000"]).map(at).collect();
        left.push(alive.directory.path().to_owned());
        left.sort();
        assert_eq!(gan_files::entries(out.path()).unwrap(), left);
        drop(alive);
        assert_eq!(gan_files::entries(out.path()).unwrap().len(), left.len() - 1);
    }
}
