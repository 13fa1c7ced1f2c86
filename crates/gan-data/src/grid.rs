//! Arranges many images in one picture, and writes pictures as PNG files.

use std::path::Path;

use candle_core::Tensor;
use gan_files::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::dataset::check_channels;
use crate::{DataError, Result, normalize};

/// Width of the space between images and around them. It is the same in torchvision's `make_grid`.
/// Unlike torchvision, this code keeps gray images gray, and a single image gets the frame too.
const PADDING: usize = 2;

/// Images in rows and columns on a black background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    picture: Picture,
}

impl Grid {
    /// Arranges `images: [N, C, H, W]` in `[-1, 1]` row by row, where C is 1 or 3. The number of
    /// columns is at most the number of images. The places after the last image stay black.
    ///
    /// # Errors
    ///
    /// If `images` has no images or another shape, `columns` is 0, or the picture is too large for
    /// a PNG.
    pub fn new(images: &Tensor, columns: usize) -> Result<Self> {
        let &[count, channels, height, width] = images.dims() else {
            return Err(unexpected("[N, C, H, W]", images));
        };
        let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
        grid.push(images)?;
        Ok(grid.finish())
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.picture.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.picture.height
    }

    /// The bytes of the picture, `[height, width, channels]`.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.picture.pixels
    }

    /// The grid with each pixel as `scale` times `scale` pixels.
    ///
    /// # Errors
    ///
    /// If `scale` is 0, or the picture is too large for a PNG.
    pub fn enlarged(self, scale: usize) -> Result<Self> {
        if scale == 1 {
            return Ok(self);
        }
        let Picture { pixels, channels, height, width } = self.picture;
        let black = height.checked_mul(scale).zip(width.checked_mul(scale));
        let black = black.filter(|_| scale > 0).and_then(|(h, w)| Picture::black(channels, h, w));
        let mut large = black.ok_or_else(|| DataError::Value {
            field: "grid scale",
            expected: "at least 1, and a picture that a PNG can hold".to_owned(),
            found: scale.to_string(),
        })?;
        for (y, row) in large.pixels.chunks_exact_mut(large.width * channels).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let from = (y / scale * width + x / scale) * channels;
                pixel.copy_from_slice(&pixels[from..from + channels]);
            }
        }
        Ok(Self { picture: large })
    }

    /// The bytes of an 8-bit gray or RGB PNG. A second copy of the picture is in memory meanwhile,
    /// and a gigabyte takes some seconds.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.picture.to_png()
    }

    /// Writes an 8-bit gray or RGB PNG, atomically.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(write_atomically(path.as_ref(), &self.to_png()?)?)
    }
}

/// A grid that is filled in parts, so that many samples need not be one tensor.
#[derive(Clone, Debug)]
pub struct GridBuilder {
    picture: Picture,
    count: usize,
    columns: usize,
    /// Height and width of one image.
    cell: (usize, usize),
    filled: usize,
}

impl GridBuilder {
    /// Creates an empty grid for `count` images of `[channels, height, width]`.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, another argument is 0, or the picture is too large for a
    /// PNG.
    pub fn new(count: usize, columns: usize, channels: usize, height: usize, width: usize) -> Result<Self> {
        check_channels("grid channels", channels)?;
        for (field, value) in [
            ("grid images", count),
            ("grid columns", columns),
            ("image height", height),
            ("image width", width),
        ] {
            if value == 0 {
                return Err(DataError::Value {
                    field,
                    expected: "at least 1".to_owned(),
                    found: "0".to_owned(),
                });
            }
        }
        let columns = columns.min(count);
        let total =
            |cells: usize, side: usize| side.checked_add(PADDING)?.checked_mul(cells)?.checked_add(PADDING);
        let picture = total(count.div_ceil(columns), height)
            .zip(total(columns, width))
            .and_then(|(height, width)| Picture::black(channels, height, width))
            .ok_or_else(|| DataError::Value {
                field: "grid",
                expected: "a picture that a PNG can hold".to_owned(),
                found: format!("{count} images of {height}x{width} in {columns} columns"),
            })?;
        Ok(Self { picture, count, columns, cell: (height, width), filled: 0 })
    }

    /// Draws `images: [N, channels, height, width]` in `[-1, 1]` in the next N places.
    ///
    /// # Errors
    ///
    /// If `images` has another shape, or there are too few places. Then the grid is unchanged.
    pub fn push(&mut self, images: &Tensor) -> Result<()> {
        let (channels, (height, width)) = (self.picture.channels, self.cell);
        let free = self.count - self.filled;
        let fits =
            matches!(images.dims(), &[n, c, h, w] if n <= free && (c, h, w) == (channels, height, width));
        if !fits {
            return Err(unexpected(&format!("[up to {free}, {channels}, {height}, {width}]"), images));
        }
        for image in normalize::from_tensor(images)?.chunks_exact(channels * height * width) {
            let top = PADDING + self.filled / self.columns * (height + PADDING);
            let left = PADDING + self.filled % self.columns * (width + PADDING);
            self.picture.draw(image, (top, left), self.cell);
            self.filled += 1;
        }
        Ok(())
    }

    /// Returns the grid. Empty places are black.
    #[must_use]
    pub fn finish(self) -> Grid {
        Grid { picture: self.picture }
    }
}

/// Writes `image: [C, H, W]` in `[-1, 1]` as an 8-bit PNG without a frame, atomically. C is 1 or 3.
///
/// # Errors
///
/// If `image` has another shape, or the file cannot be written.
pub fn save_image(path: impl AsRef<Path>, image: &Tensor) -> Result<()> {
    Ok(write_atomically(path.as_ref(), &image_png(image)?)?)
}

/// `image: [C, H, W]` in `[-1, 1]` as an 8-bit PNG without a frame. C is 1 or 3.
///
/// # Errors
///
/// If `image` has another shape.
pub fn image_png(image: &Tensor) -> Result<Vec<u8>> {
    let &[channels, height, width] = image.dims() else {
        return Err(unexpected("[C, H, W]", image));
    };
    check_channels("image channels", channels)?;
    let pixels = normalize::from_tensor(&image.unsqueeze(0)?)?;
    let mut picture = Picture::black(channels, height, width)
        .filter(|_| !pixels.is_empty())
        .ok_or_else(|| unexpected("[C, H, W] that a PNG can hold", image))?;
    picture.draw(&pixels, (0, 0), (height, width));
    picture.to_png()
}

/// Bytes in the order of a PNG: `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    pixels: Vec<u8>,
    channels: usize,
    height: usize,
    width: usize,
}

impl Picture {
    /// `None` if a side needs more than PNG's 31 bits or the picture exceeds the address range.
    fn black(channels: usize, height: usize, width: usize) -> Option<Self> {
        i32::try_from(height.max(width)).ok()?;
        let length = height.checked_mul(width)?.checked_mul(channels)?;
        isize::try_from(length).ok()?;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(length).ok()?;
        pixels.resize(length, 0);
        Some(Self { pixels, channels, height, width })
    }

    /// Draws `image: [channels, height, width]` with its upper left corner at (top, left).
    fn draw(&mut self, image: &[u8], (top, left): (usize, usize), (height, width): (usize, usize)) {
        for (index, &value) in image.iter().enumerate() {
            let (channel, row, col) = (index / (height * width), index / width % height, index % width);
            self.pixels[((top + row) * self.width + left + col) * self.channels + channel] = value;
        }
    }

    fn to_png(&self) -> Result<Vec<u8>> {
        let color = if self.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut bytes = vec![];
        // `black` has checked that the sides fit 31 bits.
        PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, self.width as u32, self.height as u32, color)
            .map_err(candle_core::Error::wrap)?;
        Ok(bytes)
    }
}

fn unexpected(expected: &str, images: &Tensor) -> DataError {
    DataError::Value { field: "images", expected: expected.to_owned(), found: format!("{:?}", images.dims()) }
}

#[cfg(test)]
mod tests;
