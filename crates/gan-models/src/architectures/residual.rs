//! Residual networks without any norm: a small version of R3GAN (Huang et al. 2024, "The GAN is
//! dead; long live the GAN! A modern baseline GAN", arXiv 2501.05441, section 3).
//!
//! A generator begins with a transposed convolution to the smallest image. Residual blocks follow
//! at each size. Products of 1x1 stand where the size doubles, and at the end. A discriminator is
//! the mirror of a generator. A block is 1x1, activation, 3x3, activation, 1x1, and its result is
//! added to its input.
//!
//! As in the paper, nothing normalises. The last product of a block starts at zero. The others
//! start with He's deviations, scaled by the number of blocks (Zhang et al. 2019, arXiv
//! 1901.09321). There are three differences from the paper: the 3x3 products have no groups and
//! are no wider than the block; sizes change by nearest neighbours and means, not by filters of
//! 1-2-1; and the generator ends with a Tanh.

use super::{Architecture, dcgan, refuse, refuse_batch_norm, refuse_flat_input, refuse_size, refuse_widths};
use crate::config::{DiscriminatorNorm, GeneratorNorm, ModelConfig, Upsampling};
use crate::error::Result;
use crate::init::DCGAN_DEVIATION;
use crate::layers::{Convolution, Layer};

pub(super) struct ResidualNetworks;

impl Architecture for ResidualNetworks {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        refuse_batch_norm(model)?;
        match model.generator.norm {
            GeneratorNorm::Batch => refuse("model.generator.norm", "\"none\"", model, "\"batch\"")?,
            GeneratorNorm::Pixel => refuse("model.generator.norm", "\"none\"", model, "\"pixel\"")?,
            GeneratorNorm::OfArch | GeneratorNorm::None => {}
        }
        match model.generator.upsample {
            Upsampling::Nearest => {
                let expected = "no such key, as its images always grow by nearest neighbours,";
                refuse("model.generator.upsample", expected, model, "\"nearest\"")?;
            }
            Upsampling::Transposed => {}
        }
        if let Some(p) = model.discriminator.dropout {
            refuse("model.discriminator.dropout", "no such key", model, p)?;
        }
        // One width for each size of the image. There are as few sizes as possible.
        let Some(numbers) = dcgan::numbers_of_widths(model.image_size) else { return refuse_size(model) };
        let expected = numbers.start() + 1;
        for (player, widths) in
            [("generator", &model.generator.widths), ("discriminator", &model.discriminator.widths)]
        {
            if widths.len() != expected {
                return refuse_widths(model, player, &expected.to_string(), widths.len());
            }
        }
        refuse_flat_input(model)
    }

    fn generator(&self, model: &ModelConfig) -> Vec<Layer> {
        let (latents, widths) = (model.latents().width(), &model.generator.widths);
        let block = Block {
            activation: model.generator.activation(),
            gain: gain(model.generator.slope(), widths.len() * model.generator.blocks),
            last: 0.,
            product: Layer::Conv2d,
        };
        let mut channels = widths.first().copied().unwrap_or(1);
        // Each latent is multiplied into each pixel of the smallest image once.
        let first = Convolution {
            bias: true,
            deviation: deviation(latents),
            ..product(latents, channels, smallest(model))
        };
        let mut layers = vec![Layer::ConvTranspose2d(first)];
        for (i, &width) in widths.iter().enumerate() {
            if i > 0 {
                layers.extend((width != channels).then(|| Layer::Conv2d(product(channels, width, 1))));
                layers.push(Layer::Upsample);
            }
            layers.extend((0..model.generator.blocks).map(|_| block.of(width)));
            channels = width;
        }
        let last = Convolution { bias: true, ..product(channels, model.channels, 1) };
        layers.extend([Layer::Conv2d(last), Layer::Tanh]);
        layers
    }

    /// The result is a logit `[1, 1, 1]`.
    fn discriminator(&self, model: &ModelConfig) -> Vec<Layer> {
        let widths = &model.discriminator.widths;
        let spectral = |convolution| model.discriminator.product(Layer::Conv2d(convolution));
        let block = Block {
            activation: model.discriminator.activation(),
            gain: gain(model.discriminator.slope(), widths.len() * model.discriminator.blocks),
            // Spectral norm divides by the largest singular value, which is 0 for a zero weight.
            last: match model.discriminator.norm {
                DiscriminatorNorm::Spectral => DCGAN_DEVIATION,
                DiscriminatorNorm::OfArch | DiscriminatorNorm::Batch | DiscriminatorNorm::None => 0.,
            },
            product: &spectral,
        };
        let mut channels = model.seen_channels();
        let mut layers = vec![];
        for (i, &width) in widths.iter().enumerate() {
            layers.extend((i > 0).then_some(Layer::AvgPool2d));
            if i == 0 || width != channels {
                layers.push(spectral(Convolution { bias: i == 0, ..product(channels, width, 1) }));
            }
            layers.extend((0..model.discriminator.blocks).map(|_| block.of(width)));
            channels = width;
        }
        model.discriminator.add_minibatch_std(&mut layers, &mut channels);
        let last = product(channels, model.discriminator_results(), smallest(model));
        layers.push(spectral(Convolution { bias: true, ..last }));
        layers
    }

    fn generator_input(&self, latents: usize) -> Vec<usize> {
        vec![latents, 1, 1]
    }
}

/// Side of the smallest image.
fn smallest(model: &ModelConfig) -> usize {
    if model.image_size == 28 { 7 } else { 4 }
}

/// Residual blocks of one network.
struct Block<P> {
    activation: Layer,
    /// He's gain for the activation, scaled by the number of blocks.
    gain: f64,
    /// Standard deviation of the last product's initial weights.
    last: f64,
    /// Makes a product, with spectral norm around it if the network has spectral norm.
    product: P,
}

impl<P: Fn(Convolution) -> Layer> Block<P> {
    fn of(&self, channels: usize) -> Layer {
        let scaled = |kernel| {
            let product = product(channels, channels, kernel);
            let deviation = self.gain * product.deviation;
            (self.product)(Convolution { bias: true, padding: kernel / 2, deviation, ..product })
        };
        let last = (self.product)(Convolution { deviation: self.last, ..product(channels, channels, 1) });
        let body = vec![scaled(1), self.activation.clone(), scaled(3), self.activation.clone(), last];
        Layer::Residual { body, shortcut: vec![] }
    }
}

/// He's gain for an activation with this slope below 0 (2015, equation 15), times
/// L^(-1 / (2m - 2)) for L blocks of m = 3 products (Zhang et al. 2019, section 3).
fn gain(slope: f64, blocks: usize) -> f64 {
    (2. / (1. + slope * slope)).sqrt() * (blocks as f64).powf(-0.25)
}

/// Makes a convolution. With its initial weights, the output has the standard deviation of the
/// input.
fn product(inputs: usize, outputs: usize, kernel: usize) -> Convolution {
    let deviation = deviation(inputs * kernel * kernel);
    Convolution { inputs, outputs, kernel, stride: 1, padding: 0, bias: false, deviation }
}

fn deviation(fan_in: usize) -> f64 {
    (fan_in as f64).sqrt().recip()
}
