//! Tests the paths of latents, and the default number of images.

use super::*;
use candle_core::Device;

#[test]
fn a_spherical_path_keeps_the_length_and_meets_its_ends() {
    let (from, to) = (&[[3f32, 0., 0.], [0., 2., 0.]], &[[0f32, 3., 0.], [0., -4., 1.]]);
    let [from, to] = [from, to].map(|rows| Tensor::new(rows, &Device::Cpu).unwrap());
    let at = |share| on_a_sphere(&from, &to, share).unwrap().to_vec2::<f32>().unwrap();
    let near = |found: &[f32], expected: [f32; 3]| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} {expected:?}");
    };
    near(&at(0.)[0], [3., 0., 0.]);
    near(&at(1.)[0], [0., 3., 0.]);
    // A third of a right angle.
    let (sine, cosine) = (std::f32::consts::FRAC_PI_6).sin_cos();
    near(&at(1. / 3.)[0], [3. * cosine, 3. * sine, 0.]);
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length(&at(0.5)[1]) - f32::midpoint(2., 17f32.sqrt())).abs() < 1e-3);
    // Equal points stay where they are.
    let same = on_a_sphere(&from, &from, 0.3).unwrap().to_vec2::<f32>().unwrap();
    near(&same[0], [3., 0., 0.]);
}

#[test]
fn a_closed_path_visits_each_stop_at_its_time() {
    assert_eq!(between(0., 4), (0, 0.));
    assert_eq!(between(0.25, 4), (1, 0.));
    assert_eq!(between(0.875, 4), (3, 0.5));
}

#[test]
fn the_default_number_of_images_makes_a_small_file() {
    // 120 frames of digits in a GIF, and of 64x64 and 128x128 RGB in a GIF and an animated PNG.
    for (bytes, expected) in
        [(30 * 30, 64), (66 * 66, 9), (66 * 66 * 3, 4), (130 * 130, 1), (130 * 130 * 3, 1)]
    {
        assert_eq!(images(bytes * 120), expected);
    }
}
