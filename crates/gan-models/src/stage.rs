//! What a network computes at once: layers that belong together, with their weights.

use crate::init;
use crate::layer::{Convolution, Layer};
use crate::sequential::{BATCH_NORM_MOMENTUM, Mode};
use crate::spectral::Spectral;
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gan_ops::Activation;
use gan_ops::fused::{self, Norm, Product};

/// PyTorch's defaults for `nn.BatchNorm2d`.
const BATCH_NORM_EPS: f64 = 1e-5;

/// One or more [`Layer`]s.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// A product with the batch norm and the activation that follow it, as far as they do.
    Fused(Fused),
    Flatten,
    Upsample,
    AvgPool2d,
    MinibatchStd(usize),
    Residual {
        body: Vec<Stage>,
        shortcut: Vec<Stage>,
    },
}

/// A fused layer; with spectral norm, its weight is the original one.
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    pub(crate) layer: fused::Layer,
    pub(crate) spectral: Option<Spectral>,
}

/// The stages of `layers`, whose weights `vb` has under their positions.
pub(crate) fn stages(layers: &[Layer], vb: &VarBuilder<'_>) -> Result<Vec<Stage>> {
    let mut stages = vec![];
    let mut at = 0;
    while at < layers.len() {
        let (stage, taken) = Stage::new(&layers[at..], at, vb)?;
        stages.push(stage);
        at += taken;
    }
    Ok(stages)
}

/// All of them one after the other, on candle's tape.
pub(crate) fn forward(stages: &[Stage], x: &Tensor, mode: Mode) -> Result<Tensor> {
    stages.iter().try_fold(x.clone(), |x, stage| stage.forward(&x, mode))
}

/// Every fused layer, those in residual blocks too, in the order of their weights.
pub(crate) fn fused_layers(stages: &[Stage]) -> Vec<&Fused> {
    let mut layers = vec![];
    for stage in stages {
        match stage {
            Stage::Fused(fused) => layers.push(fused),
            Stage::Residual { body, shortcut } => {
                layers.extend(fused_layers(body));
                layers.extend(fused_layers(shortcut));
            }
            Stage::Flatten | Stage::Upsample | Stage::AvgPool2d | Stage::MinibatchStd(_) => {}
        }
    }
    layers
}

/// Whether a sample's result depends on the others in training.
pub(crate) fn couple_samples(stages: &[Stage]) -> bool {
    stages.iter().any(|stage| match stage {
        Stage::Fused(fused) => fused.layer.norm.is_some(),
        Stage::MinibatchStd(_) => true,
        Stage::Residual { body, shortcut } => couple_samples(body) || couple_samples(shortcut),
        Stage::Flatten | Stage::Upsample | Stage::AvgPool2d => false,
    })
}

impl Stage {
    /// The stage that `layers` begin with, the first of them at position `at`, and how many of them it takes.
    fn new(layers: &[Layer], at: usize, vb: &VarBuilder<'_>) -> Result<(Self, usize)> {
        let fuse = |product: Option<Multiplier>, norm, activation: Option<Activation>| {
            let (product, spectral) = product.unzip();
            let layer = fused::Layer { product, norm, activation: activation.unwrap_or_default() };
            Self::Fused(Fused { layer, spectral: spectral.flatten() })
        };
        Ok(match layers {
            [product, norm @ Layer::BatchNorm2d { .. }, rest @ ..] if is_product(product) => {
                let product = read_product(product, &vb.pp(at))?;
                let norm = read_norm(norm, &vb.pp(at + 1))?;
                let activation = rest.first().and_then(activation);
                (fuse(product, norm, activation), 2 + usize::from(activation.is_some()))
            }
            [first @ Layer::BatchNorm2d { .. }, rest @ ..] => {
                let activation = rest.first().and_then(activation);
                let norm = read_norm(first, &vb.pp(at))?;
                (fuse(None, norm, activation), 1 + usize::from(activation.is_some()))
            }
            [product, rest @ ..] if is_product(product) => {
                let activation = rest.first().and_then(activation);
                let product = read_product(product, &vb.pp(at))?;
                (fuse(product, None, activation), 1 + usize::from(activation.is_some()))
            }
            [first, ..] if activation(first).is_some() => (fuse(None, None, activation(first)), 1),
            [Layer::Upsample, ..] => (Self::Upsample, 1),
            [Layer::AvgPool2d, ..] => (Self::AvgPool2d, 1),
            [Layer::MinibatchStd { group }, ..] => (Self::MinibatchStd(*group), 1),
            [Layer::Residual { body, shortcut }, ..] => {
                let vb = vb.pp(at);
                let body = stages(body, &vb.pp("body"))?;
                let shortcut = stages(shortcut, &vb.pp("shortcut"))?;
                (Self::Residual { body, shortcut }, 1)
            }
            [Layer::SpectralNorm(layer), ..] => candle_core::bail!("no spectral norm of {layer}"),
            _ => (Self::Flatten, 1),
        })
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match self {
            Self::Fused(fused) => fused.forward(x, mode),
            Self::Flatten => x.flatten_from(1),
            Self::Upsample => gan_ops::upsample(x),
            Self::AvgPool2d => gan_ops::average_pool(x),
            Self::MinibatchStd(group) => gan_ops::minibatch_std(x, *group),
            Self::Residual { body, shortcut } => forward(body, x, mode)? + forward(shortcut, x, mode)?,
        }
    }
}

impl Fused {
    /// With the weight that it multiplies with.
    pub(crate) fn normalised(&self) -> Result<fused::Layer> {
        let mut layer = self.layer.clone();
        if let (Some(spectral), Some((_, weight, _))) = (&self.spectral, &mut layer.product) {
            *weight = spectral.on_tape(weight)?;
        }
        Ok(layer)
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        on_tape(&self.normalised()?, x, mode)
    }
}

/// A fused layer on candle's tape.
pub(crate) fn on_tape(layer: &fused::Layer, x: &Tensor, mode: Mode) -> Result<Tensor> {
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

/// A product as a fused layer has it, and its spectral norm if there is one.
type Multiplier = ((Product, Tensor, Option<Tensor>), Option<Spectral>);

fn activation(layer: &Layer) -> Option<Activation> {
    match *layer {
        Layer::Relu => Some(Activation::Relu),
        Layer::LeakyRelu(slope) => Some(Activation::LeakyRelu(slope)),
        Layer::Tanh => Some(Activation::Tanh),
        _ => None,
    }
}

fn is_product(layer: &Layer) -> bool {
    match layer {
        Layer::Linear { .. } | Layer::Conv2d(_) | Layer::ConvTranspose2d(_) => true,
        // PyTorch takes another axis of a transposed convolution's weight.
        Layer::SpectralNorm(layer) => matches!(**layer, Layer::Linear { .. } | Layer::Conv2d(_)),
        _ => false,
    }
}

fn read_product(layer: &Layer, vb: &VarBuilder<'_>) -> Result<Option<Multiplier>> {
    let (layer, is_normalised) = match layer {
        Layer::SpectralNorm(layer) => (&**layer, true),
        layer => (layer, false),
    };
    let (product, shape, outputs, has_bias) = match *layer {
        Layer::Linear { inputs, outputs } => (Product::Linear, vec![outputs, inputs], outputs, true),
        Layer::Conv2d(Convolution { inputs, outputs, kernel, stride, padding, bias, .. }) => {
            (Product::Conv2d { stride, padding }, vec![outputs, inputs, kernel, kernel], outputs, bias)
        }
        Layer::ConvTranspose2d(Convolution { inputs, outputs, kernel, stride, padding, bias, .. }) => (
            Product::ConvTranspose2d { stride, padding },
            vec![inputs, outputs, kernel, kernel],
            outputs,
            bias,
        ),
        _ => return Ok(None),
    };
    let (weight, spectral) = if is_normalised {
        let vb = vb.pp("parametrizations").pp("weight");
        let columns = shape[1..].iter().product();
        let weight = vb.get_with_hints(shape, "original", init::weight(layer))?;
        (weight, Some(Spectral::new([outputs, columns], &vb.pp("0"))?))
    } else {
        (vb.get_with_hints(shape, "weight", init::weight(layer))?, None)
    };
    let bias = has_bias.then(|| vb.get_with_hints(outputs, "bias", init::bias(layer))).transpose()?;
    Ok(Some(((product, weight, bias), spectral)))
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
