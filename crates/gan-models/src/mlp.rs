//! Fully connected GANs, as in Goodfellow et al. 2014 (arXiv 1406.2661) and the PyTorch tutorials
//! after it.

use crate::config::{DiscriminatorInput, ModelConfig};
use crate::layer::Layer;

/// From `z` to the pixels of an image: `Linear, activation` for each width, `Linear, Tanh` at the end.
/// The caller views the result as an image.
#[must_use]
pub fn mlp_generator(config: &ModelConfig) -> Vec<Layer> {
    let pixels = config.image_shape().iter().product();
    let mut inputs = config.latents().width();
    let mut layers = hidden(&mut inputs, &config.generator.widths, &config.generator.activation());
    layers.extend([Layer::Linear { inputs, outputs: pixels }, Layer::Tanh]);
    layers
}

/// From an image to a logit, and further results for classes: `Linear, activation` for each width, `Linear` at the end. The
/// Sigmoid that a tutorial puts behind it is part of the loss, which alone can compute it without overflow.
#[must_use]
pub fn mlp_discriminator(config: &ModelConfig) -> Vec<Layer> {
    let mut inputs = config.discriminator_input().iter().product();
    let mut layers = match config.discriminator.input {
        DiscriminatorInput::Image => vec![Layer::Flatten],
        DiscriminatorInput::Flat => vec![],
    };
    layers.extend(hidden(&mut inputs, &config.discriminator.widths, &config.discriminator.activation()));
    config.discriminator.add_minibatch_std(&mut layers, &mut inputs);
    layers.push(Layer::Linear { inputs, outputs: config.discriminator_results() });
    layers
}

/// Hidden layers; `inputs` becomes their number of outputs.
fn hidden(inputs: &mut usize, widths: &[usize], activation: &Layer) -> Vec<Layer> {
    let mut layers = vec![];
    for &outputs in widths {
        layers.extend([Layer::Linear { inputs: *inputs, outputs }, activation.clone()]);
        *inputs = outputs;
    }
    layers
}
