//! Draws pictures of coloured shapes, as data that no classifier knows.

use candle_core::{Device, Result, Tensor};
use gan_ops::rng::Stream;

/// The colours of the shapes, and the share of each.
pub(crate) const COLOURS: [([f32; 3], f32); 4] =
    [([0.85, 0.15, 0.1], 0.27), ([0.1, 0.7, 0.2], 0.27), ([0.1, 0.2, 0.9], BLUE), ([0.9, 0.8, 0.1], 0.23)];
/// The share of blue shapes.
pub(crate) const BLUE: f32 = 0.23;

/// What is in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    /// Index in [`COLOURS`].
    pub(crate) colour: usize,
    /// 0 is a circle, 1 a square, 2 a triangle.
    pub(crate) form: usize,
    centre: [f32; 2],
    radius: f32,
    ground: f32,
}

/// `count` shapes that `allowed` accepts. They depend on the seed only.
pub(crate) fn shapes(seed: u64, count: usize, allowed: impl Fn(Shape) -> bool) -> Result<Vec<Shape>> {
    let mut stream = Stream::new(seed, "shapes", 0);
    let mut all = vec![];
    while all.len() < count {
        let u = stream.uniform(0., 1., 6, &Device::Cpu)?.to_vec1::<f32>()?;
        let mut rest = u[0];
        let colour = COLOURS.iter().position(|(_, share)| {
            rest -= share;
            rest < 0.
        });
        let shape = Shape {
            colour: colour.unwrap_or(COLOURS.len() - 1),
            form: (u[1] * 3.) as usize,
            centre: [0.35 + 0.3 * u[2], 0.35 + 0.3 * u[3]],
            radius: 0.2 + 0.12 * u[4],
            ground: 0.05 + 0.2 * u[5],
        };
        if allowed(shape) {
            all.push(shape);
        }
    }
    Ok(all)
}

/// The pictures of the shapes: `[N, 3, side, side]` in [-1, 1]. Each pixel is the mean of 2x2
/// points.
pub(crate) fn pictures(shapes: &[Shape], side: usize) -> Result<Tensor> {
    const FINE: usize = 2;
    let mut values = Vec::with_capacity(shapes.len() * 3 * side * side);
    for shape in shapes {
        let place = |i: usize| (i as f32 + 0.5) / (side * FINE) as f32;
        let mut cover = vec![0f32; side * side];
        for y in 0..side * FINE {
            for x in 0..side * FINE {
                let inside = is_inside(*shape, place(x) - shape.centre[0], place(y) - shape.centre[1]);
                cover[y / FINE * side + x / FINE] += f32::from(u8::from(inside)) / (FINE * FINE) as f32;
            }
        }
        for value in COLOURS[shape.colour].0 {
            values
                .extend(cover.iter().map(|share| 2. * (shape.ground + share * (value - shape.ground)) - 1.));
        }
    }
    Tensor::from_vec(values, (shapes.len(), 3, side, side), &Device::Cpu)
}

fn is_inside(shape: Shape, x: f32, y: f32) -> bool {
    let r = shape.radius;
    match shape.form {
        0 => x * x + y * y < r * r,
        1 => x.abs().max(y.abs()) < 0.85 * r,
        _ => y < 0.8 * r && y > -r + 1.8 * x.abs(),
    }
}
