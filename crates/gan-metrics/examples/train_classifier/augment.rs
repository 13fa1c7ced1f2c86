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
/// Largest shift, in pixels.
const SHIFT: f32 = 2.;
/// Number of random numbers for each image.
const DRAWS: usize = 6;

/// The transforms of one step.
pub(crate) struct Augment(Stream);

impl Augment {
    pub(crate) fn new(seed: u64, step: u64) -> Self {
        Self(Stream::new(seed, "augment", step))
    }

    /// Applies a different transform to each of `images: [B, 1, S, S]` in [-1, 1].
    pub(crate) fn apply(&mut self, images: &Tensor) -> Result<Tensor> {
        let (count, _, _, side) = images.dims4()?;
        let draws = self.0.uniform(-1., 1., (count, DRAWS), &Device::Cpu)?.to_vec2::<f32>()?;
        let pixels = images.flatten_all()?.to_vec1::<f32>()?;
        let mut mapped = Vec::with_capacity(pixels.len());
        for (image, draws) in pixels.chunks(side * side).zip(&draws) {
            warp(image, side, draws, &mut mapped);
        }
        Ok(Tensor::from_vec(mapped, images.shape(), images.device())?)
    }
}

/// Appends the image after a transform about its centre. Pixels from outside the image are
/// background.
fn warp(image: &[f32], side: usize, draws: &[f32], mapped: &mut Vec<f32>) {
    let (sin, cos) = (TURN * draws[0]).sin_cos();
    let (wide, high) = (1. + SCALE * draws[1], 1. + SCALE * draws[2]);
    let shear = SHEAR * draws[3];
    let (right, down) = (SHIFT * draws[4], SHIFT * draws[5]);
    let middle = (side - 1) as f32 / 2.;
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (column as f32 - middle - right, row as f32 - middle - down);
            let x_sheared = x + shear * y;
            let from_x = wide * (cos * x_sheared - sin * y) + middle;
            let from_y = high * (sin * x_sheared + cos * y) + middle;
            mapped.push(bilinear(image, side, from_x, from_y));
        }
    }
}

fn bilinear(image: &[f32], side: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (to_right, to_bottom) = (x - left, y - top);
    let at = |x: f32, y: f32| {
        let inside = x >= 0. && y >= 0. && x < side as f32 && y < side as f32;
        if inside { image[y as usize * side + x as usize] } else { -1. }
    };
    let above = at(left, top) * (1. - to_right) + at(left + 1., top) * to_right;
    let below = at(left, top + 1.) * (1. - to_right) + at(left + 1., top + 1.) * to_right;
    above * (1. - to_bottom) + below * to_bottom
}
