//! Brings a decoded picture to the size and channels of the data set.

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, Rgb, RgbImage};

/// What is behind the transparent parts of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// There are no transparent parts.
    None,
    Black,
}

/// What a picture was before it was fitted.
pub(super) struct Fitted {
    pub(super) ground: Ground,
    /// The largest value of a picture of 16 bits.
    pub(super) deepest: Option<u16>,
}

/// Fits the central square of `image` into `place: [channels, size, size]`.
pub(super) fn fit(image: DynamicImage, size: usize, channels: usize, place: &mut [u8]) -> Fitted {
    let deepest = deepest(&image);
    let (square, ground) = central_square(&image);
    // A large picture is not needed beside its copy.
    drop(image);
    let mut fitted = DynamicImage::ImageRgb8(square);
    if channels == 1 {
        fitted = DynamicImage::ImageLuma8(fitted.into_luma8());
    }
    let fitted = fitted.resize_exact(size as u32, size as u32, FilterType::Triangle);
    for (index, &value) in fitted.as_bytes().iter().enumerate() {
        place[index % channels * size * size + index / channels] = value;
    }
    Fitted { ground, deepest }
}

/// The largest value of a picture of 16 bits, without that of its opacity.
fn deepest(image: &DynamicImage) -> Option<u16> {
    let colors = |values: &[u16], channels, colors| {
        values.chunks_exact(channels).filter_map(|pixel| pixel[..colors].iter().copied().max()).max()
    };
    match image {
        DynamicImage::ImageLuma16(image) => colors(image, 1, 1),
        DynamicImage::ImageLumaA16(image) => colors(image, 2, 1),
        DynamicImage::ImageRgb16(image) => colors(image, 3, 3),
        DynamicImage::ImageRgba16(image) => colors(image, 4, 3),
        _ => None,
    }
}

/// The central square over black.
fn central_square(image: &DynamicImage) -> (RgbImage, Ground) {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let mut ground = Ground::None;
    let square = RgbImage::from_fn(side, side, |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(left + x, top + y).0;
        if alpha < 255 {
            ground = Ground::Black;
        }
        let shade = |value: u8| ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8;
        Rgb([red, green, blue].map(shade))
    });
    (square, ground)
}
