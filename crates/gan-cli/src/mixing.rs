//! Latents between others.

use anyhow::Result;
use candle_core::{D, Tensor};

/// Linear interpolation.
pub(crate) fn mixed(from: &Tensor, to: &Tensor, share: f64) -> Result<Tensor> {
    Ok(((from * (1. - share))? + (to * share)?)?)
}

/// Spherical interpolation of each row (White 2016, arXiv 1609.04468): the length of a normal latent hardly
/// varies, and points on a straight line between two of them are shorter than any that G has seen. The
/// lengths themselves are interpolated too.
pub(crate) fn on_a_sphere(from: &Tensor, to: &Tensor, share: f64) -> Result<Tensor> {
    let length = |z: &Tensor| z.sqr()?.sum_keepdim(D::Minus1)?.sqrt();
    let (long, longer) = (length(from)?, length(to)?);
    let (from, to) = (from.broadcast_div(&long)?, to.broadcast_div(&longer)?);
    let cosines = (&from * &to)?.sum_keepdim(D::Minus1)?.flatten_all()?.to_vec1::<f32>()?;
    let weights = |of: fn(f64, f64) -> f64| {
        let weight = |&cosine: &f32| {
            let angle = f64::from(cosine).clamp(-1., 1.).acos();
            // Where the sine vanishes, the points are the same or opposite, and a line is as good.
            let (part, all) = (of(angle, share), angle.sin());
            if all < 1e-6 { of(1., share) as f32 } else { (part.sin() / all) as f32 }
        };
        Tensor::from_vec(cosines.iter().map(weight).collect(), (cosines.len(), 1), long.device())
    };
    let first = from.broadcast_mul(&weights(|angle, share| angle * (1. - share))?)?;
    let second = to.broadcast_mul(&weights(|angle, share| angle * share)?)?;
    Ok((first + second)?.broadcast_mul(&mixed(&long, &longer, share)?)?)
}

#[cfg(test)]
mod tests {
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
}
