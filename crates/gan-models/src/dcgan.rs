//! DCGAN: Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
//! convolutional generative adversarial networks" (arXiv 1511.06434), as the PyTorch tutorial has it.
//!
//! Kernels are 4 with stride 2 and padding 1, which doubles or halves the image (3 between 4x4 and 7x7); the layer at the
//! 1x1 end has a kernel as large as its image. No layer has a bias: a batch norm follows, or, at the
//! two image ends, the tutorial leaves it out too. Only a discriminator without batch norm has biases.

use crate::config::{DiscriminatorNorm, ModelConfig};
use crate::init::DCGAN_DEVIATION;
use crate::layer::{Convolution, Layer};
use std::ops::RangeInclusive;

/// `[z, 1, 1]` to an image: one transposed convolution to the smallest image, one for each doubling;
/// batch norm and the activation after all but the last, which has Tanh.
#[must_use]
pub fn dcgan_generator(config: &ModelConfig) -> Vec<Layer> {
    let widths = &config.generator.widths;
    let smallest = smallest(config.image_size, widths);
    let mut inputs = config.latents().width();
    let mut layers = vec![];
    for (i, &outputs) in widths.iter().enumerate() {
        layers.extend([
            Layer::ConvTranspose2d(match i {
                0 => whole_image(inputs, outputs, smallest),
                1 => Convolution {
                    kernel: next_kernel(config.image_size, smallest),
                    ..by_two(inputs, outputs)
                },
                _ => by_two(inputs, outputs),
            }),
            Layer::BatchNorm2d { channels: outputs },
            config.generator.activation(),
        ]);
        inputs = outputs;
    }
    layers.extend([Layer::ConvTranspose2d(by_two(inputs, config.channels)), Layer::Tanh]);
    layers
}

/// An image to a logit `[1, 1, 1]`, and further results for classes; the generator's mirror: batch norm from the second
/// layer on, if any, none at the end.
#[must_use]
pub fn dcgan_discriminator(config: &ModelConfig) -> Vec<Layer> {
    let bias = !matches!(config.discriminator.norm, None | Some(DiscriminatorNorm::Batch));
    let widths = &config.discriminator.widths;
    let smallest = smallest(config.image_size, widths);
    let mut inputs = config.seen_channels();
    let mut layers = vec![];
    for (i, &outputs) in widths.iter().enumerate() {
        let kernel = if i + 1 == widths.len() { next_kernel(config.image_size, smallest) } else { 4 };
        layers.push(Layer::Conv2d(Convolution { kernel, bias, ..by_two(inputs, outputs) }));
        if i > 0 && !bias {
            layers.push(Layer::BatchNorm2d { channels: outputs });
        }
        layers.push(config.discriminator.activation());
        inputs = outputs;
    }
    config.discriminator.add_minibatch_std(&mut layers, &mut inputs);
    let last = whole_image(inputs, config.discriminator_results(), smallest);
    layers.push(Layer::Conv2d(Convolution { bias, ..last }));
    layers
}

/// Numbers of widths for `image_size`, one for each doubling: 28x28 comes from 7x7 by two, or with one width more
/// from 4x4; the others come from 4x4. `None` for a size that a DCGAN cannot have.
pub(crate) fn numbers_of_widths(image_size: usize) -> Option<RangeInclusive<usize>> {
    match image_size {
        28 => Some(2..=3),
        32 => Some(3..=3),
        64 => Some(4..=4),
        128 => Some(5..=5),
        _ => None,
    }
}

/// Side of the smallest image.
fn smallest(image_size: usize, widths: &[usize]) -> usize {
    if (image_size, widths.len()) == (28, 2) { 7 } else { 4 }
}

/// Kernel between the smallest image and the next: twice 4 less 1 is 7.
fn next_kernel(image_size: usize, smallest: usize) -> usize {
    if (image_size, smallest) == (28, 4) { 3 } else { 4 }
}

fn by_two(inputs: usize, outputs: usize) -> Convolution {
    Convolution { inputs, outputs, kernel: 4, stride: 2, padding: 1, bias: false, deviation: DCGAN_DEVIATION }
}

fn whole_image(inputs: usize, outputs: usize, kernel: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride: 1, padding: 0, bias: false, deviation: DCGAN_DEVIATION }
}
