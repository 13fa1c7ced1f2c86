//! DCGAN: Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
//! convolutional generative adversarial networks" (arXiv 1511.06434), as the PyTorch tutorial has it.
//!
//! Kernels are 4 with stride 2 and padding 1, which doubles or halves the image; the layer at the
//! 1x1 end has a kernel as large as its image. No layer has a bias: a batch norm follows, or, at the
//! two image ends, the tutorial leaves it out too. Only a discriminator without batch norm has biases.

use crate::config::{DiscriminatorNorm, ModelConfig};
use crate::init::DCGAN_DEVIATION;
use crate::layer::{Convolution, Layer};

/// `[z, 1, 1]` to an image: one transposed convolution to the smallest image, one for each doubling;
/// batch norm and the activation after all but the last, which has Tanh.
#[must_use]
pub fn dcgan_generator(config: &ModelConfig) -> Vec<Layer> {
    let mut inputs = config.latents().width();
    let mut layers = vec![];
    for (i, &outputs) in config.generator.widths.iter().enumerate() {
        layers.extend([
            Layer::ConvTranspose2d(if i == 0 {
                whole_image(inputs, outputs, smallest(config.image_size))
            } else {
                by_two(inputs, outputs)
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
    let mut inputs = config.seen_channels();
    let mut layers = vec![];
    for (i, &outputs) in config.discriminator.widths.iter().enumerate() {
        layers.push(Layer::Conv2d(Convolution { bias, ..by_two(inputs, outputs) }));
        if i > 0 && !bias {
            layers.push(Layer::BatchNorm2d { channels: outputs });
        }
        layers.push(config.discriminator.activation());
        inputs = outputs;
    }
    config.discriminator.add_minibatch_std(&mut layers, &mut inputs);
    let last = whole_image(inputs, config.discriminator_results(), smallest(config.image_size));
    layers.push(Layer::Conv2d(Convolution { bias, ..last }));
    layers
}

/// How often the smallest image (7x7 for 28, else 4x4) doubles to `image_size`: also the number of
/// widths. `None` for a size that a DCGAN cannot have.
pub(crate) fn doublings(image_size: usize) -> Option<usize> {
    match image_size {
        28 => Some(2),
        32 => Some(3),
        64 => Some(4),
        128 => Some(5),
        _ => None,
    }
}

/// Side of the smallest image.
pub(crate) fn smallest(image_size: usize) -> usize {
    if image_size == 28 { 7 } else { 4 }
}

fn by_two(inputs: usize, outputs: usize) -> Convolution {
    Convolution { inputs, outputs, kernel: 4, stride: 2, padding: 1, bias: false, deviation: DCGAN_DEVIATION }
}

fn whole_image(inputs: usize, outputs: usize, kernel: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride: 1, padding: 0, bias: false, deviation: DCGAN_DEVIATION }
}
