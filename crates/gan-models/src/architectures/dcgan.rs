//! DCGAN (Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
//! convolutional generative adversarial networks", arXiv 1511.06434), as in the PyTorch tutorial.
//!
//! Kernels have size 4, stride 2 and padding 1, which doubles or halves the image. Between 4x4
//! and 7x7 the size is 3. The layer at the 1x1 end has a kernel as large as its image. No layer
//! has a bias, because a batch norm follows; the tutorial leaves it out at the two image ends
//! too. Only networks without batch norm have biases.
//!
//! With `upsample = "nearest"` the generator doubles the image by nearest neighbours and a
//! convolution of 3x3 (Odena et al. 2016, <https://distill.pub/2016/deconv-checkerboard>). The
//! reason is that a transposed convolution can leave a checkerboard pattern.

use super::{Architecture, refuse_blocks, refuse_flat_input, refuse_size, refuse_widths};
use crate::config::{DiscriminatorNorm, GeneratorNorm, ModelConfig, Upsampling};
use crate::error::Result;
use crate::init::DCGAN_DEVIATION;
use crate::layers::{Convolution, Layer};
use std::ops::RangeInclusive;

pub(super) struct Dcgan;

impl Architecture for Dcgan {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        refuse_blocks(model)?;
        let Some(numbers) = numbers_of_widths(model.image_size) else { return refuse_size(model) };
        // The step from 4x4 to 7x7 is no doubling.
        let generator = match model.generator.upsample {
            Upsampling::Transposed => numbers.clone(),
            Upsampling::Nearest => *numbers.start()..=*numbers.start(),
        };
        for (player, numbers, widths) in [
            ("generator", generator, &model.generator.widths),
            ("discriminator", numbers, &model.discriminator.widths),
        ] {
            if !numbers.contains(&widths.len()) {
                let (fewest, most) = numbers.into_inner();
                let numbers = if fewest == most { fewest.to_string() } else { format!("{fewest} or {most}") };
                return refuse_widths(model, player, &numbers, widths.len());
            }
        }
        refuse_flat_input(model)
    }

    /// A transposed convolution to the smallest image, then one product for each doubling. A norm
    /// and an activation follow each product but the last. A Tanh follows the last.
    fn generator(&self, model: &ModelConfig) -> Vec<Layer> {
        let widths = &model.generator.widths;
        let smallest = smallest(model.image_size, widths);
        let bias = match model.generator.norm {
            GeneratorNorm::OfArch | GeneratorNorm::Batch => false,
            GeneratorNorm::None | GeneratorNorm::Pixel => true,
        };
        let doubled = |i: usize, inputs, outputs, bias| match (model.generator.upsample, i) {
            (Upsampling::Nearest, _) => {
                let conv = Convolution { kernel: 3, stride: 1, bias, ..by_two(inputs, outputs) };
                vec![Layer::Upsample, Layer::Conv2d(conv)]
            }
            (Upsampling::Transposed, 1) => {
                let kernel = next_kernel(model.image_size, smallest);
                vec![Layer::ConvTranspose2d(Convolution { kernel, bias, ..by_two(inputs, outputs) })]
            }
            (Upsampling::Transposed, _) => {
                vec![Layer::ConvTranspose2d(Convolution { bias, ..by_two(inputs, outputs) })]
            }
        };
        let mut inputs = model.latents().width();
        let mut layers = vec![];
        for (i, &outputs) in widths.iter().enumerate() {
            layers.extend(match i {
                0 => vec![Layer::ConvTranspose2d(Convolution {
                    bias,
                    ..whole_image(inputs, outputs, smallest)
                })],
                _ => doubled(i, inputs, outputs, bias),
            });
            layers.extend((!bias).then_some(Layer::BatchNorm2d { channels: outputs }));
            layers.push(model.generator.activation());
            layers.extend(model.generator.norm.is_pixel().then_some(Layer::PixelNorm));
            inputs = outputs;
        }
        layers.extend(doubled(widths.len(), inputs, model.channels, false));
        layers.push(Layer::Tanh);
        layers
    }

    /// The mirror of the generator. It returns a logit `[1, 1, 1]`. With batch norm, every layer
    /// but the first and the last has one.
    fn discriminator(&self, model: &ModelConfig) -> Vec<Layer> {
        let bias = match model.discriminator.norm {
            DiscriminatorNorm::OfArch | DiscriminatorNorm::Batch => false,
            DiscriminatorNorm::None | DiscriminatorNorm::Spectral => true,
        };
        let product = |convolution| model.discriminator.product(Layer::Conv2d(convolution));
        let widths = &model.discriminator.widths;
        let smallest = smallest(model.image_size, widths);
        let mut inputs = model.seen_channels();
        let mut layers = vec![];
        for (i, &outputs) in widths.iter().enumerate() {
            let kernel = if i + 1 == widths.len() { next_kernel(model.image_size, smallest) } else { 4 };
            layers.push(product(Convolution { kernel, bias, ..by_two(inputs, outputs) }));
            if i > 0 && !bias {
                layers.push(Layer::BatchNorm2d { channels: outputs });
            }
            layers.push(model.discriminator.activation());
            layers.extend(model.discriminator.dropout.map(|p| Layer::Dropout { p }));
            inputs = outputs;
        }
        model.discriminator.add_minibatch_std(&mut layers, &mut inputs);
        let last = whole_image(inputs, model.discriminator_results(), smallest);
        layers.push(product(Convolution { bias, ..last }));
        layers
    }

    fn generator_input(&self, latents: usize) -> Vec<usize> {
        vec![latents, 1, 1]
    }
}

/// How many widths a network has for `image_size`, one for each doubling. 28x28 is made from 7x7
/// with two widths, or from 4x4 with three. The other sizes are made from 4x4. `None` for a size
/// that a DCGAN cannot have.
pub(super) fn numbers_of_widths(image_size: usize) -> Option<RangeInclusive<usize>> {
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

/// Kernel between the smallest image and the next one. From 4x4 to 7x7 it is 3, because 7 is
/// twice 4 less 1.
fn next_kernel(image_size: usize, smallest: usize) -> usize {
    if (image_size, smallest) == (28, 4) { 3 } else { 4 }
}

fn by_two(inputs: usize, outputs: usize) -> Convolution {
    Convolution { inputs, outputs, kernel: 4, stride: 2, padding: 1, bias: false, deviation: DCGAN_DEVIATION }
}

fn whole_image(inputs: usize, outputs: usize, kernel: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride: 1, padding: 0, bias: false, deviation: DCGAN_DEVIATION }
}
