//! Writes pictures as they are trained on into one archive, in the form of `StyleGAN2-ADA`'s
//! `dataset_tool.py`.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use gan_files::AtomicFile;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::find::{self, Found};
use super::labels::{self, Labels, Preparation};
use super::{Background, BrokenPicture, Options, budget::Budget, fit, mean_color};
use crate::dataset::check_channels;
use crate::{DataError, Source, Split, resize};

/// Number of pictures that are in memory at the same time.
const CHUNK: usize = 256;
/// Number of pictures in a directory of the archive.
const IN_DIRECTORY: usize = 1000;

/// What an archive contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Number of pictures.
    pub count: usize,
    /// Number of classes, if they are known.
    pub classes: Option<usize>,
    /// What was passed over, in words. `None` if nothing was.
    pub passed_over: Option<String>,
}

/// Reads the pictures of `path` like [`load`](super::load), and writes them to the zip archive
/// `out`, where nothing may be. The archive holds PNG files without further compression, and a
/// `dataset.json` with the labels. The same pictures give the same bytes. Only some hundred pictures
/// are in memory at a time. `check` is called between them, and its error ends the work.
///
/// # Errors
///
/// The errors of [`load`](super::load) and `check`; an archive that cannot be written, also because
/// something is at its place.
pub fn prepare<E: From<DataError>>(
    path: impl AsRef<Path>,
    options: &Options<'_>,
    out: impl AsRef<Path>,
    check: impl Fn() -> Result<(), E>,
) -> Result<Prepared, E> {
    let (path, out) = (path.as_ref(), out.as_ref());
    resize::check_size(options.size)?;
    check_channels("channels", options.channels)?;
    options.transform.crop.validate()?;
    let found = find::pictures(path).map_err(|error| needless(path, error))?;
    let mut prepared = found.prepared_for(options.transform)?;
    let behind = match options.transform.behind() {
        Background::Color(color) => color,
        Background::Mean => mean_color(path, &found)?,
    };
    let file = AtomicFile::create(out).map_err(DataError::from)?;
    let mut zip = ZipWriter::new(UntilError { file: Some(file), at: 0, length: 0 });
    let (count, mut broken, mut is_transparent) = (found.pictures.len(), vec![], false);
    for (number, chunk) in found.pictures.chunks(CHUNK).enumerate() {
        check()?;
        let first = number * CHUNK;
        for (index, png) in encoded(&found, chunk, options, behind).into_iter().enumerate() {
            match png {
                Ok((png, transparent)) if broken.is_empty() => {
                    is_transparent |= transparent;
                    add(&mut zip, out, &name(first + index), &png)?;
                }
                Ok(_) => {}
                Err(problem) => broken.push(BrokenPicture { path: chunk[index].clone(), problem }),
            }
        }
        (options.progress)((first + CHUNK).min(count), count);
    }
    if !broken.is_empty() {
        return Err(DataError::Pictures { dir: path.to_owned(), broken, of: count }.into());
    }
    if is_transparent {
        prepared.note(options.transform.behind(), behind);
    }
    add(&mut zip, out, labels::FILE, json(&found.labels, prepared).as_bytes())?;
    let written = zip.finish().map_err(|error| unwritten(out, error))?;
    check()?;
    if let Some(file) = written.file {
        file.commit_new().map_err(DataError::from)?;
    }
    let classes = match &found.labels {
        Labels::Known { classes, .. } => Some(*classes),
        Labels::Unknown(_) => None,
    };
    Ok(Prepared { count, classes, passed_over: found.others() })
}

/// A file up to the first error, and nothing after it. A writer of archives tries to complete its archive
/// when it is dropped, and would print the error again. So it must find the places that it expects.
struct UntilError {
    file: Option<AtomicFile>,
    at: u64,
    length: u64,
}

impl UntilError {
    fn then<T>(&mut self, nothing: T, act: impl FnOnce(&mut AtomicFile) -> io::Result<T>) -> io::Result<T> {
        let Some(file) = &mut self.file else { return Ok(nothing) };
        let done = act(file);
        if done.is_err() {
            self.file = None;
        }
        done
    }
}

impl Write for UntilError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.then(bytes.len(), |file| file.write(bytes))?;
        self.at += written as u64;
        self.length = self.length.max(self.at);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.then((), AtomicFile::flush)
    }
}

impl Seek for UntilError {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = |start: u64, by: i64| {
            start.checked_add_signed(by).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
        };
        let place = match to {
            SeekFrom::Start(place) => place,
            SeekFrom::Current(by) => from(self.at, by)?,
            SeekFrom::End(by) => from(self.length, by)?,
        };
        self.at = self.then(place, |file| file.seek(SeekFrom::Start(place)))?;
        Ok(self.at)
    }
}

/// The error for a directory that holds the files of a data set in place of pictures.
fn needless(path: &Path, error: DataError) -> DataError {
    let files = Source::MNIST.format.idx_files().filter(|files| files.are_in(path, Split::Train));
    match (error, files) {
        (DataError::NoImages { dir, .. }, Some(_)) => DataError::Value {
            field: "data.dir",
            expected: format!("pictures in {}", dir.display()),
            found: "MNIST's IDX files, which are trained on as they are".to_owned(),
        },
        (error, _) => error,
    }
}

/// The PNG files of some pictures, and whether each had transparent parts. Or what is wrong with them.
fn encoded(
    found: &Found,
    pictures: &[std::path::PathBuf],
    options: &Options<'_>,
    behind: [u8; 3],
) -> Vec<Result<(Vec<u8>, bool), String>> {
    let Options { size, channels, transform, .. } = *options;
    let budget = Budget::new(super::DECODING_BYTES);
    let encode = |path: &std::path::PathBuf| {
        let picture = found.open(path, &budget)?;
        let _share = budget.take(picture.decoding_bytes(size));
        let mut planes = vec![0; channels * size * size];
        let fitted = fit::fit(picture.decode()?, (transform.crop, behind), (channels, size), &mut planes)?;
        Ok((png(&planes, channels, size)?, fitted.is_transparent))
    };
    pictures.par_iter().map(encode).collect()
}

/// The PNG file of an image `[channels, size, size]`.
fn png(planes: &[u8], channels: usize, size: usize) -> Result<Vec<u8>, String> {
    let area = size * size;
    let pixels: Vec<u8> = (0..area * channels).map(|i| planes[i % channels * area + i / channels]).collect();
    let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = vec![];
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    encoder.write_image(&pixels, size as u32, size as u32, color).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// `StyleGAN`'s name of picture number `index`.
fn name(index: usize) -> String {
    format!("{:05}/img{index:08}.png", index / IN_DIRECTORY)
}

/// The content of `dataset.json`.
fn json(labels: &Labels, prepared: Preparation) -> String {
    let mut content = match labels {
        Labels::Unknown(_) => serde_json::json!({ "labels": null }),
        Labels::Known { of_pictures, names, .. } => {
            let labels: Vec<_> = of_pictures.iter().enumerate().map(|(i, label)| (name(i), label)).collect();
            if names.is_empty() {
                serde_json::json!({ "labels": labels })
            } else {
                serde_json::json!({ "labels": labels, "classes": names })
            }
        }
    };
    if prepared != Preparation::default() {
        content["gan-cli"] = serde_json::json!(prepared);
    }
    content.to_string()
}

fn add(
    zip: &mut ZipWriter<impl Write + Seek>,
    out: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<(), DataError> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file(name, stored).map_err(|error| unwritten(out, error))?;
    zip.write_all(bytes).map_err(|source| DataError::Write { path: out.to_owned(), source })
}

fn unwritten(out: &Path, error: zip::result::ZipError) -> DataError {
    DataError::Write { path: out.to_owned(), source: error.into() }
}
