//! Fully connected GANs, as in Goodfellow et al. 2014 (arXiv 1406.2661) and the PyTorch tutorials
//! after it.

use super::{Architecture, refuse, refuse_batch_norm, refuse_blocks};
use crate::config::{DiscriminatorInput, GeneratorNorm, ModelConfig, Upsampling, at_most};
use crate::error::Result;
use crate::layers::Layer;

pub(super) struct Mlp;

impl Architecture for Mlp {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        refuse_blocks(model)?;
        refuse_batch_norm(model)?;
        match model.generator.norm {
            GeneratorNorm::Batch => {
                refuse("model.generator.norm", "\"none\" or \"pixel\"", model, "\"batch\"")?;
            }
            GeneratorNorm::OfArch | GeneratorNorm::None | GeneratorNorm::Pixel => {}
        }
        match model.generator.upsample {
            Upsampling::Nearest => refuse("model.generator.upsample", "no such key", model, "\"nearest\"")?,
            Upsampling::Transposed => {}
        }
        at_most("model.image-size", model.image_size, 256)
    }

    /// `Linear, activation` for each width, then `Linear, Tanh`. The caller views the result as
    /// an image.
    fn generator(&self, model: &ModelConfig) -> Vec<Layer> {
        let pixels = model.image_shape().iter().product();
        let mut inputs = model.latents().width();
        let mut hidden = vec![model.generator.activation()];
        hidden.extend(model.generator.norm.is_pixel().then_some(Layer::PixelNorm));
        let mut layers = hidden_layers(&mut inputs, &model.generator.widths, |product| product, &hidden);
        layers.extend([Layer::Linear { inputs, outputs: pixels }, Layer::Tanh]);
        layers
    }

    /// `Linear, activation` for each width, then `Linear`. A tutorial adds a Sigmoid. Here it is
    /// part of the loss, because only the loss can compute it without overflow.
    fn discriminator(&self, model: &ModelConfig) -> Vec<Layer> {
        let mut inputs = model.discriminator_input().iter().product();
        let mut layers = match model.discriminator.input {
            DiscriminatorInput::Image => vec![Layer::Flatten],
            DiscriminatorInput::Flat => vec![],
        };
        let mut hidden = vec![model.discriminator.activation()];
        hidden.extend(model.discriminator.dropout.map(|p| Layer::Dropout { p }));
        let product = |layer| model.discriminator.product(layer);
        layers.extend(hidden_layers(&mut inputs, &model.discriminator.widths, product, &hidden));
        model.discriminator.add_minibatch_std(&mut layers, &mut inputs);
        layers.push(product(Layer::Linear { inputs, outputs: model.discriminator_results() }));
        layers
    }

    fn generator_input(&self, latents: usize) -> Vec<usize> {
        vec![latents]
    }
}

/// A product for each width, each followed by the layers `behind`. Sets `inputs` to the number of
/// outputs of the last one.
fn hidden_layers(
    inputs: &mut usize,
    widths: &[usize],
    product: impl Fn(Layer) -> Layer,
    behind: &[Layer],
) -> Vec<Layer> {
    let mut layers = vec![];
    for &outputs in widths {
        layers.push(product(Layer::Linear { inputs: *inputs, outputs }));
        layers.extend_from_slice(behind);
        *inputs = outputs;
    }
    layers
}
