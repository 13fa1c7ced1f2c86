//! Reads a directory of PNG and JPEG files as a data set.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits, RgbImage};
use rayon::prelude::*;

use crate::dataset::check_channels;
use crate::{DataError, Dataset, Result, resize};

/// The name of data from a directory, because nothing says what the images show.
const NAME: &str = "folder";
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];
/// Maximum side of an image. A small file can announce a huge picture, and no training image is
/// larger than this.
const MAX_SIDE: u32 = 16_384;
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Reads all PNG and JPEG files in `dir` and below, sorted by path, without labels. It finds them
/// by extension, in upper or lower case. Each image is cut to its central square, resized to `size`
/// x `size` with a triangle filter, and converted to `channels` (1 or 3). Transparent parts become
/// black. Directories behind symbolic links are not searched.
///
/// # Errors
///
/// If `size` or `channels` is out of range, the directory cannot be read or contains no images, or
/// an image is broken or larger than 16384x16384 pixels or 512 MiB.
pub fn load(dir: impl AsRef<Path>, size: usize, channels: usize) -> Result<Dataset> {
    let dir = dir.as_ref();
    resize::check_size(size)?;
    check_channels("channels", channels)?;
    let paths = image_paths(dir)?;
    if paths.is_empty() {
        return Err(DataError::NoImages { dir: dir.to_owned(), extensions: EXTENSIONS.join(", ") });
    }
    let area = channels * size * size;
    let Some(length) = paths.len().checked_mul(area).filter(|&length| isize::try_from(length).is_ok()) else {
        return Err(DataError::Value {
            field: "size",
            expected: "images that fit in memory".to_owned(),
            found: format!("{} of {size}x{size}", paths.len()),
        });
    };
    let mut pixels = vec![0; length];
    let places = pixels.par_chunks_exact_mut(area);
    places.zip(&paths).try_for_each(|(place, path)| {
        fit(&decode(path)?, size, channels, place);
        Ok::<_, DataError>(())
    })?;
    let source = format!("{} images in {}", paths.len(), dir.display());
    Dataset::new(NAME, source, pixels, channels, size)
}

/// Channels (1 or 3) and the shorter side of the first image, by path, that [`load`] would read in
/// `dir`.
///
/// # Errors
///
/// If the directory cannot be read or contains no images, or the first image is broken.
pub fn shape(dir: impl AsRef<Path>) -> Result<(usize, usize)> {
    let dir = dir.as_ref();
    let paths = image_paths(dir)?;
    let Some(first) = paths.first() else {
        return Err(DataError::NoImages { dir: dir.to_owned(), extensions: EXTENSIONS.join(", ") });
    };
    let image = decode(first)?;
    let channels = if image.color().has_color() { 3 } else { 1 };
    Ok((channels, image.width().min(image.height()) as usize))
}

fn image_paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut unread = vec![dir.to_owned()];
    while let Some(dir) = unread.pop() {
        let unreadable = |source| DataError::Read { path: dir.clone(), source };
        for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            // `file_type` does not follow links. So a link to a parent directory causes no endless
            // search, and a link to a file counts as a file.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                unread.push(path);
            } else if has_image_extension(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn decode(path: &Path) -> Result<DynamicImage> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|source| DataError::Decode { path: path.to_owned(), source })
}

/// Fits `image` into `place: [channels, size, size]`.
fn fit(image: &DynamicImage, size: usize, channels: usize, place: &mut [u8]) {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let mut fitted = over_black(&image.crop_imm(left, top, side, side));
    if channels == 1 {
        fitted = DynamicImage::ImageLuma8(fitted.into_luma8());
    }
    let fitted = fitted.resize_exact(size as u32, size as u32, FilterType::Triangle);
    for (index, &value) in fitted.as_bytes().iter().enumerate() {
        place[index % channels * size * size + index / channels] = value;
    }
}

fn over_black(image: &DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return DynamicImage::ImageRgb8(image.to_rgb8());
    }
    let rgba = image.to_rgba8();
    DynamicImage::ImageRgb8(RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        let shade = |value: u8| ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8;
        image::Rgb([red, green, blue].map(shade))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, Rgba, RgbaImage};

    fn load_error(dir: &Path) -> String {
        load(dir, 4, 1).unwrap_err().to_string()
    }

    #[test]
    fn images_of_every_kind_come_in_the_order_of_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("c");
        std::fs::create_dir(&below).unwrap();
        GrayImage::from_pixel(9, 5, Luma([10])).save(dir.path().join("b.PNG")).unwrap();
        RgbImage::from_pixel(6, 6, Rgb([20, 20, 20])).save(dir.path().join("d.jpeg")).unwrap();
        RgbaImage::from_pixel(5, 8, Rgba([200, 100, 50, 51])).save(below.join("a.png")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "no image").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), below.join("loop")).unwrap();

        let data = load(dir.path(), 4, 3).unwrap();
        assert_eq!((data.len(), data.channels(), data.size(), data.labels()), (3, 3, 4, None));
        assert_eq!(*data.image(0), [10; 48]);
        // The colour has an opacity of one fifth, over black.
        assert_eq!(data.image(1), [[40; 16], [20; 16], [10; 16]].concat());
        assert_eq!(*data.image(2), [20; 48]);

        assert_eq!(shape(dir.path()).unwrap(), (1, 5));
        assert_eq!(shape(&below).unwrap(), (3, 5));
        let gray = load(dir.path(), 4, 1).unwrap();
        assert_eq!((&*gray.image(0), &*gray.image(2)), (&[10; 16][..], &[20; 16][..]));
    }

    #[test]
    fn the_centre_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let wide = GrayImage::from_fn(8, 4, |x, y| Luma([(x * 10 + y) as u8]));
        wide.save(dir.path().join("wide.png")).unwrap();
        let data = load(dir.path(), 4, 1).unwrap();
        let expected: Vec<u8> = (0..16).map(|n| (n % 4 + 2) * 10 + n / 4).collect();
        assert_eq!(data.image(0), expected);
    }

    #[test]
    fn broken_images_and_empty_directories_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = load_error(dir.path());
        assert!(
            error.contains(&dir.path().display().to_string()) && error.contains("png, jpg, jpeg"),
            "{error}"
        );
        std::fs::write(dir.path().join("broken.jpg"), [0xff, 0xd8, 0xff, 0]).unwrap();
        assert!(load_error(dir.path()).contains("broken.jpg"));
        assert!(load_error(&dir.path().join("absent")).contains("absent"));
        assert!(load(dir.path(), 0, 1).is_err() && load(dir.path(), 4, 2).is_err());
    }

    #[test]
    fn pictures_beyond_the_limits_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.png");
        GrayImage::new(MAX_SIDE + 1, 1).save(&path).unwrap();
        assert_eq!(load_error(dir.path()), format!("cannot decode {}", path.display()));
    }
}
