//! Reads a directory of pictures (PNG, JPEG, WebP) as a data set. `find` finds the files, `picture`
//! decodes one, and `fit` brings it to the size and channels of the data set.

mod budget;
mod complete;
mod exif;
mod find;
mod fit;
mod jpeg;
mod picture;
mod survey;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::dataset::check_channels;
use crate::{DataError, Dataset, Result, resize};
use budget::Budget;
use find::Found;
pub(crate) use find::has_pictures;
pub use find::is_picture;
use picture::{Attempt, Picture};
pub use survey::{Survey, survey};

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

/// Reads all PNG, JPEG and WebP files in `dir` and below, sorted by path, without labels. It finds
/// them by extension (`png`, `jpg`, `jpeg`, `jfif`, `webp`), in upper or lower case. Directories
/// behind symbolic links are searched too, each directory once. Files and directories whose name
/// starts with a dot, `__MACOSX`, and runs of gan-cli (directories with a `config.toml` and a
/// `metrics.jsonl`) are passed over. Each picture is turned as its EXIF data say, or else its
/// XMP data, cut to its central square, resized to `size` x `size` with a triangle filter, and converted to
/// `channels` (1 or 3). Transparent parts become black. [`Dataset::source`] says how many pictures
/// have transparent parts, and how many other files were passed over.
///
/// # Errors
///
/// If `size` or `channels` is out of range, the directory cannot be read or contains no pictures,
/// or the images need more than 4 GiB. If pictures are cut off, damaged, unreadable, or larger than
/// 67,108,864 pixels or 512 MiB: the error counts them and names the first ten.
pub fn load(dir: impl AsRef<Path>, size: usize, channels: usize) -> Result<Dataset> {
    let dir = dir.as_ref();
    resize::check_size(size)?;
    check_channels("channels", channels)?;
    let found = find::pictures(dir)?;
    let count = found.pictures.len();
    let area = channels * size * size;
    let mut pixels = vec![0; resize::length(count, channels, size)?];
    let budget = Budget::new(DECODING_BYTES);
    let places = pixels.par_chunks_exact_mut(area).zip(&found.pictures);
    let fitted = places.map(|(place, path)| {
        let picture = Picture::open(path)?;
        let _share = budget.take(picture.decoding_bytes(size));
        Ok(fit::fit(picture.decode()?, size, channels, place))
    });
    let fitted = all(dir, &found, fitted.collect())?;

    let transparent = fitted.iter().filter(|fitted| fitted.ground == fit::Ground::Black).count();
    let deepest = fitted.iter().filter_map(|fitted| fitted.deepest).max();
    let black = match transparent {
        0 => String::new(),
        some => format!(" ({some} with transparent parts, which are black)"),
    };
    let others = found.others().map_or_else(String::new, |others| format!("; {others}"));
    let images = if count == 1 { "image" } else { "images" };
    let source = format!("{count} {images} in {}{black}{others}", dir.display());
    Ok(Dataset::new(NAME, source, pixels, channels, size)?
        .with_transparent(transparent)
        .with_deepest(deepest))
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
