//! The files of images that `gan-cli sample` writes.

use crate::aside;
use crate::commands::output::{self, Place};
use crate::draw::Drawing;
use crate::npy;
use crate::signals::{Interrupted, Stop};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gan_data::{GridBuilder, save_image};
use gan_files::AtomicFile;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The picture of a grid.
pub(super) fn grid(images: Drawing<'_>, columns: usize, scale: usize, stop: &Stop) -> Result<Vec<u8>> {
    let [count, channels, height, width] = images.shape();
    let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
    for chunk in until(stop, images) {
        grid.push(&chunk?)?;
    }
    let grid = grid.finish().enlarged(scale)?;
    let png = aside::compute(move || grid.to_png(), || stop.check().is_err())?.transpose()?;
    png.ok_or_else(|| Interrupted.into())
}

pub(super) fn npy(images: Drawing<'_>, out: &Place, stop: &Stop) -> Result<()> {
    let header = npy::written(&images.shape());
    array(images, &header, out, stop)
}

/// Writes the file without the library, whose writer needs the whole tensor at once. The format is
/// a length, a JSON header padded with spaces to a multiple of 8, and the bytes.
pub(super) fn safetensors(images: Drawing<'_>, out: &Place, stop: &Stop) -> Result<()> {
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
fn array(images: Drawing<'_>, header: &[u8], out: &Place, stop: &Stop) -> Result<()> {
    let at = || out.path().display().to_string();
    let mut file = AtomicFile::create(out.path())?;
    file.write_all(header).with_context(at)?;
    for chunk in until(stop, images) {
        let values = chunk?.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes).with_context(at)?;
    }
    stop.check()?;
    out.put(file)
}

/// Writes one PNG file per image. The directory gets them only when all of them are complete, and
/// then it loses the numbered files that it held.
pub(super) fn directory(images: Drawing<'_>, out: &Place, stop: &Stop) -> Result<()> {
    output::fill_with_pictures(out, stop, |place| pictures(images, place, stop))
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

/// The images in chunks, until a signal comes.
fn until(stop: &Stop, images: Drawing<'_>) -> impl Iterator<Item = Result<Tensor>> {
    images.chunks().map(|chunk| stop.check().and(chunk))
}
