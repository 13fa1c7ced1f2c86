//! Changes of brightness, saturation and contrast, as the program of Zhao et al. 2020 makes them.

use gan_ops::rng::Stream;

/// The change of the colours of one image in [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tone {
    /// It is added to each value.
    brightness: f32,
    /// It multiplies the difference of each value from the mean of the pixel's channels.
    saturation: f32,
    /// It multiplies the difference of each value from the mean of the image.
    contrast: f32,
}

impl Tone {
    /// Draws a change for each of `samples` images: brightness in [-0.5, 0.5), saturation in [0, 2),
    /// contrast in [0.5, 1.5).
    pub(super) fn draw(
        stream: &mut Stream,
        samples: usize,
    ) -> candle_core::Result<impl Iterator<Item = Self> + use<>> {
        let draws = stream.uniform(0., 1., (samples, 3), &candle_core::Device::Cpu)?.to_vec2::<f32>()?;
        Ok(draws.into_iter().map(|draws| Self {
            brightness: draws[0] - 0.5,
            saturation: draws[1] * 2.,
            contrast: draws[2] + 0.5,
        }))
    }

    /// Changes an image `[channels, H, W]`.
    pub(super) fn change(&self, image: &mut [f32], channels: usize) {
        for value in &mut *image {
            *value += self.brightness;
        }
        self.spread(image, channels);
    }

    /// Computes the gradient of an image from the gradient of the changed image. Both means are
    /// projections, so the linear part of the change is its own transpose.
    pub(super) fn change_back(&self, gradient: &mut [f32], channels: usize) {
        self.spread(gradient, channels);
    }

    /// Moves values away from the mean of their pixel, and then from the mean of the image.
    fn spread(&self, image: &mut [f32], channels: usize) {
        let area = image.len() / channels;
        let mut means = vec![0.; area];
        for plane in image.chunks_exact(area) {
            for (mean, value) in means.iter_mut().zip(plane) {
                *mean += value;
            }
        }
        for mean in &mut means {
            *mean /= channels as f32;
        }
        for plane in image.chunks_exact_mut(area) {
            for (mean, value) in means.iter().zip(plane) {
                *value = (*value - mean) * self.saturation + mean;
            }
        }
        let mean = sum(image) / image.len() as f64;
        for value in image {
            *value = (*value - mean as f32) * self.contrast + mean as f32;
        }
    }
}

/// The sum in f64. Several sums side by side are faster than one.
fn sum(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0f64; 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(value)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_what_the_authors_program_makes_of_it() {
        // rand_brightness, rand_saturation and rand_contrast of DiffAugment_pytorch.py.
        let mut image = [0.1, -0.4, 0.7, 0.2, -0.3, 0.9];
        Tone { brightness: 0.25, saturation: 0.6, contrast: 1.3 }.change(&mut image, 3);
        let expected = [0.354_667, -0.000_667, 0.822_667, 0.467_333, 0.042_667, 1.013_333];
        assert!(image.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{image:?}");
    }

    #[test]
    fn draws_fill_their_ranges() {
        let tones: Vec<_> = Tone::draw(&mut Stream::new(1, "tones", 0), 4000).unwrap().collect();
        for (value, low, high) in [
            ((|tone: &Tone| tone.brightness) as fn(&Tone) -> f32, -0.5, 0.5),
            (|tone| tone.saturation, 0., 2.),
            (|tone| tone.contrast, 0.5, 1.5),
        ] {
            let values = || tones.iter().map(value);
            assert!(values().all(|value| (low..high).contains(&value)));
            let mean = values().sum::<f32>() / 4000.;
            assert!((mean - f32::midpoint(low, high)).abs() < 0.03 * (high - low), "{mean}");
            assert!(values().fold(high, f32::min) < low + 0.01 * (high - low));
        }
    }
}
