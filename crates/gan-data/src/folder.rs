//! Reads a directory or a zip archive of pictures (PNG, JPEG, WebP) as a data set. `find` finds the
//! files, `labels` their classes, `picture` decodes one, and `fit` brings it to the size and
//! channels of the data set.

mod archive;
mod budget;
mod complete;
mod exif;
mod find;
mod fit;
mod indexed;
mod jpeg;
mod labels;
mod picture;
mod prepare;
mod strict_png;
mod survey;
mod transform;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::dataset::check_channels;
use crate::{DataError, Dataset, Result, resize};
pub use archive::is_archive;
use budget::Budget;
use find::Found;
pub(crate) use find::has_pictures;
pub use find::is_picture;
use picture::Attempt;
pub use prepare::{Prepared, prepare};
pub use survey::{Survey, survey};
pub use transform::{Background, Crop, Transform};

/// The name of data from a directory, because nothing says what the images show.
const NAME: &str = "folder";
/// Files with other extensions are passed over. The content of a file, not its extension, says
/// which of the formats it has.
const EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "jfif", "webp"];
/// Number of bytes that all pictures may use together while they are decoded. It is enough for one
/// picture of the largest size and about 1600 photographs of 256x256.
const DECODING_BYTES: u64 = 1 << 30;

/// A picture that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenPicture {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// How the pictures of a folder become the images of a data set.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Height and width of the images.
    pub size: usize,
    /// 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// What happens before the resizing.
    pub transform: Transform,
    /// Is called from several threads with the number of pictures that are done, and of all.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Options<'_> {
    /// The central square over black, without a report of progress.
    #[must_use]
    pub fn new(size: usize, channels: usize) -> Self {
        Self { size, channels, transform: Transform::default(), progress: &|_, _| () }
    }
}

/// Reads all PNG, JPEG and WebP files in `path` and below, sorted by path. `path` is a directory,
/// or a zip archive with the extension `.zip`. Files are found by extension (`png`, `jpg`, `jpeg`,
/// `jfif`, `webp`), in upper or lower case. Directories behind symbolic links are searched too,
/// each directory once. Files and directories whose name starts with a dot, `__MACOSX`, and runs of
/// gan-cli (directories with a `config.toml` and a `metrics.jsonl`) are passed over.
///
/// Each picture is turned as its EXIF data say, or else its XMP data. A square is cut out and put
/// on a background. It is converted to `channels` and resized to `size` x `size` with a triangle
/// filter, as Pillow's `BILINEAR` does. [`Dataset::source`] says how many pictures have transparent
/// parts, and how many other files were passed over.
///
/// If there is a `dataset.json` in the form of `StyleGAN2-ADA`'s `dataset_tool.py`, it says the
/// classes. Otherwise each directory is a class, as for torchvision's `ImageFolder`. There are no
/// classes if pictures are outside these directories, or if there is only one directory or more
/// than 1000. A directory around everything does not count.
///
/// Only the first frame of an animated picture is used.
///
/// # Errors
///
/// If `size` or `channels` is out of range, the directory or archive cannot be read or contains no
/// pictures, or the images need more than 4 GiB. If labels do not fit the pictures. If pictures that
/// [`prepare`] has cut would be cut again. If pictures are cut off, damaged, unreadable, smaller than
/// the crop, or larger than 67,108,864 pixels or 512 MiB (256 MiB in an archive): the error counts
/// them and names the first ten.
pub fn load(path: impl AsRef<Path>, options: &Options<'_>) -> Result<Dataset> {
    let (path, Options { size, channels, .. }) = (path.as_ref(), *options);
    resize::check_size(size)?;
    check_channels("channels", channels)?;
    options.transform.crop.validate()?;
    let found = find::pictures(path)?;
    let prepared = found.prepared_for(options.transform)?;
    let count = found.pictures.len();
    let mut pixels = vec![0; resize::length(count, channels, size)?];
    let behind = match options.transform.behind() {
        Background::Color(color) => color,
        Background::Mean => mean_color(path, &found)?,
    };
    let fitted = fit_all(path, &found, options, behind, &mut pixels)?;
    let transparent = fitted.iter().filter(|fitted| fitted.is_transparent).count();
    let deepest = fitted.iter().filter_map(|fitted| fitted.deepest).max();
    let source = describe(path, &found, transparent, behind);
    let data = Dataset::new(NAME, source, pixels, channels, size)?
        .with_transparent(if behind == [0; 3] { transparent } else { 0 })
        .with_deepest(deepest)
        .with_ground(if transparent > 0 { Some(behind) } else { prepared.ground() })
        .with_transform(Transform {
            crop: prepared.crop,
            background: match transparent {
                0 => prepared.background,
                _ => options.transform.background,
            },
        });
    found.labels.put_on(data)
}

/// Reads one picture as [`load`] reads those of a directory. The background [`Background::Mean`] is the
/// mean colour of this picture.
///
/// # Errors
///
/// If `size` or `channels` is out of range, or the picture cannot be used.
pub fn load_one(path: impl AsRef<Path>, options: &Options<'_>) -> Result<Dataset> {
    let (path, Options { size, channels, transform, .. }) = (path.as_ref(), *options);
    resize::check_size(size)?;
    check_channels("channels", channels)?;
    transform.crop.validate()?;
    let mut pixels = vec![0; resize::length(1, channels, size)?];
    let mut fit = || -> Attempt<fit::Fitted> {
        let image = picture::Picture::open(path)?.decode()?;
        let behind = match transform.behind() {
            Background::Color(color) => color,
            Background::Mean => mean_of([fit::opaque_sums(&image)]),
        };
        fit::fit(image, (transform.crop, behind), (channels, size), &mut pixels)
    };
    match fit() {
        Ok(_) => Dataset::new(NAME, path.display().to_string(), pixels, channels, size),
        Err(problem) => {
            let broken = vec![BrokenPicture { path: path.to_owned(), problem }];
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let dir = parent.unwrap_or(Path::new(".")).to_owned();
            Err(DataError::Pictures { dir, broken, of: 1 })
        }
    }
}

/// Decodes all pictures and fits them into `pixels`.
fn fit_all(
    path: &Path,
    found: &Found,
    options: &Options<'_>,
    behind: [u8; 3],
    pixels: &mut [u8],
) -> Result<Vec<fit::Fitted>> {
    let Options { size, channels, transform, progress } = *options;
    let budget = Budget::new(DECODING_BYTES);
    let (done, count) = (AtomicUsize::new(0), found.pictures.len());
    let places = pixels.par_chunks_exact_mut(channels * size * size).zip(&found.pictures);
    let fitted = places.map(|(place, path)| {
        let picture = found.open(path, &budget)?;
        let _share = budget.take(picture.decoding_bytes(size));
        let fitted = fit::fit(picture.decode()?, (transform.crop, behind), (channels, size), place);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
        fitted
    });
    all(path, found, fitted.collect())
}

/// The red, green and blue that are behind transparent parts if the pictures of this directory or archive are loaded
/// with `background`. An archive of [`prepare`] has a colour of its own.
///
/// # Errors
///
/// If there are no pictures, or some cannot be read.
pub fn ground(path: impl AsRef<Path>, background: Option<Background>) -> Result<[u8; 3]> {
    let (path, found) = (path.as_ref(), find::pictures(path.as_ref())?);
    let prepared = found.prepared_for(Transform { background, ..Transform::default() })?;
    match (prepared.ground(), background.unwrap_or_default()) {
        (Some(color), _) | (None, Background::Color(color)) => Ok(color),
        (None, Background::Mean) => mean_color(path, &found),
    }
}

/// The mean colour of all opaque pixels. Black if there are none.
fn mean_color(path: &Path, found: &Found) -> Result<[u8; 3]> {
    let budget = Budget::new(DECODING_BYTES);
    let sums = found.pictures.par_iter().map(|path| {
        let picture = found.open(path, &budget)?;
        let _share = budget.take(picture.decoding_bytes(1));
        Ok(fit::opaque_sums(&picture.decode()?))
    });
    // The order of the sum does not depend on the threads.
    Ok(mean_of(all(path, found, sums.collect())?))
}

/// The mean colour of sums of colours and opacities.
fn mean_of(sums: impl IntoIterator<Item = [f64; 4]>) -> [u8; 3] {
    let mut total = [0.; 4];
    for sums in sums {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    let [red, green, blue, opacity] = total;
    [red, green, blue].map(|sum| (sum / opacity.max(f64::MIN_POSITIVE)).round() as u8)
}

/// Where the images come from, in words.
fn describe(path: &Path, found: &Found, transparent: usize, behind: [u8; 3]) -> String {
    let count = found.pictures.len();
    let transparent = match transparent {
        0 => String::new(),
        some => {
            let color = Background::Color(behind);
            format!(" ({some} with transparent parts, which are {color})")
        }
    };
    let parts = [found.labels.doubt().map(str::to_owned), found.others()];
    let parts: Vec<_> = parts.into_iter().flatten().map(|part| format!("; {part}")).collect();
    let images = if count == 1 { "image" } else { "images" };
    format!("{count} {images} in {}{transparent}{}", path.display(), parts.concat())
}

/// The results of all pictures.
///
/// # Errors
///
/// If one of them is an error. It names the first ten pictures by path.
fn all<T>(dir: &Path, found: &Found, results: Vec<Attempt<T>>) -> Result<Vec<T>> {
    let of = results.len();
    let (mut good, mut broken) = (Vec::with_capacity(of), vec![]);
    for (result, path) in results.into_iter().zip(&found.pictures) {
        match result {
            Ok(result) => good.push(result),
            Err(problem) => broken.push(BrokenPicture { path: path.clone(), problem }),
        }
    }
    if broken.is_empty() {
        return Ok(good);
    }
    Err(DataError::Pictures { dir: dir.to_owned(), broken, of })
}

#[cfg(test)]
mod tests;
