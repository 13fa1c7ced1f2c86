//! A list of layers with weights, applied one after the other.

use crate::init;
use crate::layer::{Convolution, Layer};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gan_ops::Activation;
use gan_ops::fused::{self, Norm, Product};

/// PyTorch's defaults for `nn.BatchNorm2d`.
const BATCH_NORM_EPS: f64 = 1e-5;
/// How far a batch moves batch norm's running statistics.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// `nn.Sequential` over [`Layer`]s.
#[derive(Debug, Clone)]
pub struct Sequential(pub(crate) Vec<Stage>);

/// Which statistics batch norm uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch, which also move the running ones: `model.train()`.
    Train,
    /// The running ones: `model.eval()`.
    Eval,
}

/// What is computed at once.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// A product with the batch norm and the activation that follow it, as far as they do.
    Fused(fused::Layer),
    Flatten,
}

impl Sequential {
    /// Asks `vb` for the weights of each layer under its position: `0.weight`, `0.bias`, ...
    ///
    /// # Errors
    /// Those of `vb`.
    pub fn new(layers: &[Layer], vb: VarBuilder<'_>) -> Result<Self> {
        let mut stages = vec![];
        let mut at = 0;
        while at < layers.len() {
            let (stage, taken) = Stage::new(&layers[at..], at, &vb)?;
            stages.push(stage);
            at += taken;
        }
        Ok(Self(stages))
    }

    /// `x: [B, ...]` as the first layer takes it; returns the last layer's output, on candle's tape. For a training loop
    /// that need not be on it, [`Self::prepare`] is faster.
    ///
    /// # Errors
    /// A shape that some layer cannot take; in training, batch norm over a single value per channel.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, stage| stage.forward(&x, mode))
    }

    /// The largest magnitude that any layer gives in evaluation. `x` as for [`Self::forward`].
    ///
    /// # Errors
    /// A shape that some layer cannot take.
    pub fn largest_activation(&self, x: &Tensor) -> Result<f32> {
        let (mut x, mut largest) = (x.clone(), 0f32);
        for stage in &self.0 {
            x = stage.forward(&x, Mode::Eval)?.detach();
            // Unlike `f32::max`, which passes NaN over.
            largest = x
                .flatten_all()?
                .to_vec1()?
                .into_iter()
                .map(f32::abs)
                .fold(largest, |most, value| if value > most || value.is_nan() { value } else { most });
        }
        Ok(largest)
    }

    /// All but what the last product begins, and the rest: a classifier's features and its head. They share their
    /// weights with the whole.
    #[must_use]
    pub fn split_head(&self) -> (Self, Self) {
        let is_product = |stage: &Stage| matches!(stage, Stage::Fused(layer) if layer.product.is_some());
        let (features, head) = self.0.split_at(self.0.iter().rposition(is_product).unwrap_or(self.0.len()));
        (Self(features.to_vec()), Self(head.to_vec()))
    }
}

impl Stage {
    /// The stage that `layers` begin with, the first of them at position `at`, and how many of them it takes.
    fn new(layers: &[Layer], at: usize, vb: &VarBuilder<'_>) -> Result<(Self, usize)> {
        let fuse = |product, norm, activation| Self::Fused(fused::Layer { product, norm, activation });
        Ok(match layers {
            [product, norm @ Layer::BatchNorm2d { .. }, rest @ ..] if is_product(product) => {
                let product = read_product(product, &vb.pp(at))?;
                let norm = read_norm(norm, &vb.pp(at + 1))?;
                let activation = rest.first().and_then(activation);
                (fuse(product, norm, activation.unwrap_or_default()), 2 + usize::from(activation.is_some()))
            }
            [first @ Layer::BatchNorm2d { .. }, rest @ ..] => {
                let activation = rest.first().and_then(activation);
                let norm = read_norm(first, &vb.pp(at))?;
                (fuse(None, norm, activation.unwrap_or_default()), 1 + usize::from(activation.is_some()))
            }
            [product, rest @ ..] if is_product(product) => {
                let activation = rest.first().and_then(activation);
                let product = read_product(product, &vb.pp(at))?;
                (fuse(product, None, activation.unwrap_or_default()), 1 + usize::from(activation.is_some()))
            }
            [first, ..] if activation(first).is_some() => {
                (fuse(None, None, activation(first).unwrap_or_default()), 1)
            }
            _ => (Self::Flatten, 1),
        })
    }

    /// The product without bias, norm and activation.
    pub(crate) fn product_alone(&self, x: &Tensor) -> Result<Tensor> {
        let Self::Fused(layer) = self else { return Ok(x.clone()) };
        let product = layer.product.as_ref().map(|(product, weight, _)| (*product, weight.clone(), None));
        let alone = fused::Layer { product, norm: None, activation: Activation::Identity };
        Self::Fused(alone).forward(x, Mode::Train)
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let Self::Fused(layer) = self else { return x.flatten_from(1) };
        let after = if layer.norm.is_some() { Activation::Identity } else { layer.activation };
        let y = match &layer.product {
            Some((Product::Linear, weight, bias)) => gan_ops::linear(x, weight, bias.as_ref(), after)?,
            Some((Product::Conv2d { stride, padding }, weight, bias)) => {
                gan_ops::conv2d(x, weight, bias.as_ref(), *stride, *padding, after)?
            }
            Some((Product::ConvTranspose2d { stride, padding }, weight, bias)) => {
                gan_ops::conv_transpose2d(x, weight, bias.as_ref(), *stride, *padding, after)?
            }
            None => gan_ops::activate(x, after)?,
        };
        let Some(norm) = &layer.norm else { return Ok(y) };
        match mode {
            Mode::Train => gan_ops::batch_norm_train(&y, norm, layer.activation),
            Mode::Eval => gan_ops::batch_norm_eval(&y, norm, layer.activation),
        }
    }
}

fn activation(layer: &Layer) -> Option<Activation> {
    match *layer {
        Layer::Relu => Some(Activation::Relu),
        Layer::LeakyRelu(slope) => Some(Activation::LeakyRelu(slope)),
        Layer::Tanh => Some(Activation::Tanh),
        _ => None,
    }
}

fn is_product(layer: &Layer) -> bool {
    matches!(layer, Layer::Linear { .. } | Layer::Conv2d(_) | Layer::ConvTranspose2d(_))
}

fn read_product(layer: &Layer, vb: &VarBuilder<'_>) -> Result<Option<(Product, Tensor, Option<Tensor>)>> {
    let (product, shape, outputs, has_bias) = match *layer {
        Layer::Linear { inputs, outputs } => (Product::Linear, vec![outputs, inputs], outputs, true),
        Layer::Conv2d(Convolution { inputs, outputs, kernel, stride, padding, bias }) => {
            (Product::Conv2d { stride, padding }, vec![outputs, inputs, kernel, kernel], outputs, bias)
        }
        Layer::ConvTranspose2d(Convolution { inputs, outputs, kernel, stride, padding, bias }) => (
            Product::ConvTranspose2d { stride, padding },
            vec![inputs, outputs, kernel, kernel],
            outputs,
            bias,
        ),
        _ => return Ok(None),
    };
    let weight = vb.get_with_hints(shape, "weight", init::weight(layer))?;
    let bias = has_bias.then(|| vb.get_with_hints(outputs, "bias", init::bias(layer))).transpose()?;
    Ok(Some((product, weight, bias)))
}

fn read_norm(layer: &Layer, vb: &VarBuilder<'_>) -> Result<Option<Norm>> {
    let Layer::BatchNorm2d { channels } = *layer else { return Ok(None) };
    Ok(Some(Norm {
        weight: vb.get_with_hints(channels, "weight", init::weight(layer))?,
        bias: vb.get_with_hints(channels, "bias", init::bias(layer))?,
        running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.))?,
        running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.))?,
        eps: BATCH_NORM_EPS,
        momentum: BATCH_NORM_MOMENTUM,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use candle_core::Device;
    use gan_ops::rng::Stream;

    #[test]
    fn names_are_pytorchs_positions() {
        let conv = Convolution { inputs: 1, outputs: 2, kernel: 4, stride: 2, padding: 1, bias: true };
        let layers = [
            Layer::Conv2d(conv),
            Layer::BatchNorm2d { channels: 2 },
            Layer::LeakyRelu(0.2),
            Layer::Flatten,
            Layer::Linear { inputs: 8, outputs: 1 },
        ];
        let build = |vb: VarBuilder<'static>| Sequential::new(&layers, vb.pp("model"));
        let (network, params) = Params::seeded(0, "test", &Device::Cpu, build).unwrap();
        let names: Vec<_> = params.iter().map(|(name, var)| format!("{name} {:?}", var.dims())).collect();
        assert_eq!(
            names,
            [
                "model.0.weight [2, 1, 4, 4]",
                "model.0.bias [2]",
                "model.1.weight [2]",
                "model.1.bias [2]",
                "model.1.running_mean [2]",
                "model.1.running_var [2]",
                "model.4.weight [1, 8]",
                "model.4.bias [1]",
            ]
        );
        let x = Stream::new(0, "x", 0).normal((3, 1, 4, 4), &Device::Cpu).unwrap();
        assert_eq!(network.forward(&x, Mode::Train).unwrap().dims(), [3, 1]);
    }

    #[test]
    fn running_statistics_move_in_training_and_serve_in_evaluation() {
        let device = Device::Cpu;
        let build =
            |vb: VarBuilder<'static>| Sequential::new(&[Layer::BatchNorm2d { channels: 1 }], vb.pp("model"));
        let (network, params) = Params::seeded(0, "test", &device, build).unwrap();
        let x = Tensor::new(&[[[[1f32, 3.]]]], &device).unwrap();
        let value = |name: &str| params.get(name).unwrap().to_vec1::<f32>().unwrap()[0];
        network.forward(&x, Mode::Eval).unwrap();
        assert_eq!((value("model.0.running_mean"), value("model.0.running_var")), (0., 1.));
        network.forward(&x, Mode::Train).unwrap();
        // Mean 2, unbiased variance 2, momentum 0.1.
        assert!((value("model.0.running_mean") - 0.2).abs() < 1e-6);
        assert!((value("model.0.running_var") - 1.1).abs() < 1e-6);
        let y: Vec<f32> = network.forward(&x, Mode::Eval).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let expected = (1. - 0.2) / (1.1f32 + 1e-5).sqrt() * value("model.0.weight") + value("model.0.bias");
        assert!((y[0] - expected).abs() < 1e-6);
    }
}
