//! Fully connected GANs, as in Goodfellow et al. 2014 (arXiv 1406.2661) and the PyTorch tutorials
//! after it.

use crate::config::{DiscriminatorInput, ModelConfig};
use crate::layer::Layer;

/// From `z` to the pixels of an image: `Linear, activation` for each width, `Linear, Tanh` at the end.
/// The caller views the result as an image.
#[must_use]
pub fn mlp_generator(config: &ModelConfig) -> Vec<Layer> {
    let pixels = config.image_shape().iter().product();
    let mut layers = hidden(config.latent_dim, &config.generator.widths, config.generator.activation());
    layers.push(Layer::Linear { inputs: last(&config.generator.widths, config.latent_dim), outputs: pixels });
    layers.push(Layer::Tanh);
    layers
}

/// From an image to a logit: `Linear, activation` for each width, `Linear` at the end. The Sigmoid
/// that a tutorial puts behind it is part of the loss, which alone can compute it without overflow.
#[must_use]
pub fn mlp_discriminator(config: &ModelConfig) -> Vec<Layer> {
    let pixels = config.image_shape().iter().product();
    let mut layers = match config.discriminator.input {
        DiscriminatorInput::Image => vec![Layer::Flatten],
        DiscriminatorInput::Flat => vec![],
    };
    layers.extend(hidden(pixels, &config.discriminator.widths, config.discriminator.activation()));
    layers.push(Layer::Linear { inputs: last(&config.discriminator.widths, pixels), outputs: 1 });
    layers
}

fn hidden(inputs: usize, widths: &[usize], activation: Layer) -> Vec<Layer> {
    let mut inputs = inputs;
    let mut layers = vec![];
    for &outputs in widths {
        layers.extend([Layer::Linear { inputs, outputs }, activation]);
        inputs = outputs;
    }
    layers
}

fn last(widths: &[usize], otherwise: usize) -> usize {
    widths.last().copied().unwrap_or(otherwise)
}
