//! Residual networks without any norm: the shape of R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN! A modern
//! baseline GAN", arXiv 2501.05441, section 3), made small.
//!
//! A generator is a transposed convolution to the smallest image, residual blocks at each size, and products of 1x1 where
//! the size doubles and at the end; a discriminator is its mirror. A block is 1x1, activation, 3x3, activation, 1x1, added to
//! its input. As in the paper, the last product of a block begins at zero and the others with He's deviations, scaled by the
//! number of blocks (Zhang et al. 2019, arXiv 1901.09321); nothing normalises. Unlike there, the 3x3 products are not in
//! groups and no wider than the block, sizes change by nearest neighbours and means (there, filters of 1-2-1), and a
//! Tanh ends the generator.

use crate::config::ModelConfig;
use crate::layer::{Convolution, Layer};

/// `[latents, 1, 1]` to an image.
#[must_use]
pub fn residual_generator(config: &ModelConfig) -> Vec<Layer> {
    let (latents, widths) = (config.latents().width(), &config.generator.widths);
    let block = Block::new(config.generator.activation(), widths.len() * config.generator.blocks);
    let mut channels = widths.first().copied().unwrap_or(1);
    // Each latent meets each pixel of the smallest image once.
    let first = Convolution {
        bias: true,
        deviation: deviation(latents),
        ..product(latents, channels, smallest(config))
    };
    let mut layers = vec![Layer::ConvTranspose2d(first)];
    for (i, &width) in widths.iter().enumerate() {
        if i > 0 {
            layers.extend((width != channels).then(|| Layer::Conv2d(product(channels, width, 1))));
            layers.push(Layer::Upsample);
        }
        layers.extend((0..config.generator.blocks).map(|_| block.of(width)));
        channels = width;
    }
    let last = Convolution { bias: true, ..product(channels, config.channels, 1) };
    layers.extend([Layer::Conv2d(last), Layer::Tanh]);
    layers
}

/// Side of the smallest image.
fn smallest(config: &ModelConfig) -> usize {
    if config.image_size == 28 { 7 } else { 4 }
}

/// An image to a logit `[1, 1, 1]`, and further results for classes.
#[must_use]
pub fn residual_discriminator(config: &ModelConfig) -> Vec<Layer> {
    let widths = &config.discriminator.widths;
    let block = Block::new(config.discriminator.activation(), widths.len() * config.discriminator.blocks);
    let mut channels = config.seen_channels();
    let mut layers = vec![];
    for (i, &width) in widths.iter().enumerate() {
        layers.extend((i > 0).then_some(Layer::AvgPool2d));
        if i == 0 || width != channels {
            layers.push(Layer::Conv2d(Convolution { bias: i == 0, ..product(channels, width, 1) }));
        }
        layers.extend((0..config.discriminator.blocks).map(|_| block.of(width)));
        channels = width;
    }
    config.discriminator.add_minibatch_std(&mut layers, &mut channels);
    let last = product(channels, config.discriminator_results(), smallest(config));
    layers.push(Layer::Conv2d(Convolution { bias: true, ..last }));
    layers
}

/// Residual blocks of one network.
struct Block {
    activation: Layer,
    /// He's gain for the activation, scaled by the number of blocks.
    gain: f64,
}

impl Block {
    fn new(activation: Layer, blocks: usize) -> Self {
        let slope = match activation {
            Layer::LeakyRelu(slope) => slope,
            _ => 0.,
        };
        // L^(-1 / (2m - 2)) for L blocks of m = 3 products (Zhang et al. 2019, section 3).
        Self { activation, gain: (2. / (1. + slope * slope)).sqrt() * (blocks as f64).powf(-0.25) }
    }

    fn of(&self, channels: usize) -> Layer {
        let scaled = |kernel| {
            let product = product(channels, channels, kernel);
            let deviation = self.gain * product.deviation;
            Layer::Conv2d(Convolution { bias: true, padding: kernel / 2, deviation, ..product })
        };
        let last = Layer::Conv2d(Convolution { deviation: 0., ..product(channels, channels, 1) });
        let body = vec![scaled(1), self.activation.clone(), scaled(3), self.activation.clone(), last];
        Layer::Residual { body, shortcut: vec![] }
    }
}

/// Keeps the deviation of what it is given.
fn product(inputs: usize, outputs: usize, kernel: usize) -> Convolution {
    let deviation = deviation(inputs * kernel * kernel);
    Convolution { inputs, outputs, kernel, stride: 1, padding: 0, bias: false, deviation }
}

fn deviation(fan_in: usize) -> f64 {
    (fan_in as f64).sqrt().recip()
}
