//! Small random affine transforms of images, which imitate the variation of handwriting. They
//! are a pure function of seed and step.

use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_ops::rng::Stream;

/// Largest angle of rotation, in radians.
const TURN: f32 = 0.2;
/// Largest change of size. Each axis has its own change.
const SCALE: f32 = 0.12;
/// Largest shear: the shift in columns for each row.
const SHEAR: f32 = 0.15;
/// Largest shift, in pixels of a 28x28 image. It grows with the image.
const SHIFT: f32 = 2.;
/// Number of random numbers for each image.
const DRAWS: usize = 6;

/// What is around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    /// The background of digits.
    Black,
    /// The pixels of the border go on.
    Border,
}

/// The transforms of one step.
pub(super) struct Augment {
    stream: Stream,
    outside: Outside,
}

impl Augment {
    pub(super) fn new(seed: u64, step: u64, outside: Outside) -> Self {
        Self { stream: Stream::new(seed, "augment", step), outside }
    }

    /// Applies a different transform to each of `images: [B, C, S, S]` in [-1, 1].
    pub(super) fn apply(&mut self, images: &Tensor) -> Result<Tensor> {
        let (count, channels, _, side) = images.dims4()?;
        let draws = self.stream.uniform(-1., 1., (count, DRAWS), &Device::Cpu)?.to_vec2::<f32>()?;
        let pixels = images.flatten_all()?.to_vec1::<f32>()?;
        let mut mapped = Vec::with_capacity(pixels.len());
        for (image, draws) in pixels.chunks(channels * side * side).zip(&draws) {
            for plane in image.chunks(side * side) {
                warp(plane, side, draws, self.outside, &mut mapped);
            }
        }
        Ok(Tensor::from_vec(mapped, images.shape(), images.device())?)
    }
}

/// Appends a channel of an image after a transform about its centre.
fn warp(image: &[f32], side: usize, draws: &[f32], outside: Outside, mapped: &mut Vec<f32>) {
    let (sin, cos) = (TURN * draws[0]).sin_cos();
    let (wide, high) = (1. + SCALE * draws[1], 1. + SCALE * draws[2]);
    let shear = SHEAR * draws[3];
    let shift = SHIFT * (side as f32 / 28.);
    let (right, down) = (shift * draws[4], shift * draws[5]);
    let middle = (side - 1) as f32 / 2.;
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (column as f32 - middle - right, row as f32 - middle - down);
            let x_sheared = x + shear * y;
            let from_x = wide * (cos * x_sheared - sin * y) + middle;
            let from_y = high * (sin * x_sheared + cos * y) + middle;
            mapped.push(bilinear(image, side, outside, from_x, from_y));
        }
    }
}

fn bilinear(image: &[f32], side: usize, outside: Outside, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (to_right, to_bottom) = (x - left, y - top);
    let last = (side - 1) as f32;
    let at = |x: f32, y: f32| {
        let inside = x >= 0. && y >= 0. && x <= last && y <= last;
        if !inside && outside == Outside::Black {
            return -1.;
        }
        let [x, y] = [x, y].map(|place| place.clamp(0., last) as usize);
        image[y * side + x]
    };
    let above = at(left, top) * (1. - to_right) + at(left + 1., top) * to_right;
    let below = at(left, top + 1.) * (1. - to_right) + at(left + 1., top + 1.) * to_right;
    above * (1. - to_bottom) + below * to_bottom
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::IndexOp;

    /// Different colours move in the same way, and nothing else does.
    #[test]
    fn channels_move_together_and_images_apart() {
        let plane = Tensor::arange(0f32, 64., &Device::Cpu).unwrap().reshape((1, 1, 8, 8)).unwrap();
        let plane = ((plane / 32.).unwrap() - 1.).unwrap();
        let images = plane.repeat((2, 3, 1, 1)).unwrap();
        let moved = Augment::new(3, 7, Outside::Border).apply(&images).unwrap();
        let of = |image, channel| moved.i((image, channel)).unwrap().to_vec2::<f32>().unwrap().concat();
        assert_eq!(of(0, 0), of(0, 2));
        assert_ne!(of(0, 0), of(1, 0));
        assert_ne!(of(0, 0), plane.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }

    #[test]
    fn around_the_image_is_black_or_its_border() {
        let white = Tensor::ones((16, 1, 28, 28), candle_core::DType::F32, &Device::Cpu).unwrap();
        let darkest = |outside| {
            let moved = Augment::new(0, 0, outside).apply(&white).unwrap();
            moved.flatten_all().unwrap().min(0).unwrap().to_scalar::<f32>().unwrap()
        };
        assert!((darkest(Outside::Border) - 1.).abs() < 1e-5);
        assert!(darkest(Outside::Black) < -0.9);
    }
}
