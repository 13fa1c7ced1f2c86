//! Brings a decoded picture to the size and channels of the data set.

use image::{DynamicImage, GenericImageView};

use super::picture::Attempt;
use super::transform::Crop;
use crate::resize;

/// What a picture was before it was fitted.
pub(super) struct Fitted {
    /// Whether it had transparent parts.
    pub(super) is_transparent: bool,
    /// The largest value of a picture of 16 bits.
    pub(super) deepest: Option<u16>,
}

/// Fits the kept square of `image` into `place: [channels, size, size]`.
///
/// # Errors
///
/// If the square is not within the picture.
pub(super) fn fit(
    image: DynamicImage,
    (crop, background): (Crop, [u8; 3]),
    (channels, size): (usize, usize),
    place: &mut [u8],
) -> Attempt<Fitted> {
    let deepest = deepest(&image);
    let (planes, side, is_transparent) = opaque_square(&image, crop, background, channels)?;
    // A large picture is not needed beside its copy.
    drop(image);
    let planes = planes.chunks_exact(side * side).zip(place.chunks_exact_mut(size * size));
    planes.for_each(|(plane, place)| resize::plane(plane, side, place, size));
    Ok(Fitted { is_transparent, deepest })
}

/// Red, green and blue of all pixels of `image`, each times its opacity, and the sum of the
/// opacities. 1 is opaque.
pub(super) fn opaque_sums(image: &DynamicImage) -> [f64; 4] {
    let mut sums = [0; 4];
    for (_, _, pixel) in image.pixels() {
        let [red, green, blue, alpha] = pixel.0.map(u64::from);
        for (sum, value) in sums.iter_mut().zip([red * alpha, green * alpha, blue * alpha, alpha]) {
            *sum += value;
        }
    }
    sums.map(|sum| sum as f64 / 255.)
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

/// The kept square over the background, `[channels, side, side]`, with its side and whether parts
/// of it are transparent.
fn opaque_square(
    image: &DynamicImage,
    crop: Crop,
    background: [u8; 3],
    channels: usize,
) -> Attempt<(Vec<u8>, usize, bool)> {
    let (width, height) = image.dimensions();
    let (left, top, side) = crop
        .within(width, height)
        .ok_or_else(|| format!("data.crop is not within its {width}x{height} pixels"))?;
    let mut is_transparent = false;
    let area = (side * side) as usize;
    let mut planes = vec![0; channels * area];
    for at in 0..side * side {
        let [red, green, blue, alpha] = image.get_pixel(left + at % side, top + at / side).0;
        is_transparent |= alpha < 255;
        let mix = |(value, behind): (u8, u8)| {
            let alpha = u32::from(alpha);
            ((u32::from(value) * alpha + u32::from(behind) * (255 - alpha) + 127) / 255) as u8
        };
        let [behind_red, behind_green, behind_blue] = background;
        let color = [(red, behind_red), (green, behind_green), (blue, behind_blue)].map(mix);
        if channels == 1 {
            planes[at as usize] = luma(color);
        } else {
            for (plane, value) in color.into_iter().enumerate() {
                planes[plane * area + at as usize] = value;
            }
        }
    }
    Ok((planes, side as usize, is_transparent))
}

/// The gray value of a colour (ITU-R BT.601), in the whole numbers that Pillow uses. So a gray
/// picture keeps its values.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}
