//! One stage for a product with weights, a batch norm and an activation. Each of the three may be
//! missing.

use crate::chain::Weights;
use crate::gradients::{GradientSum, Gradients};
use crate::layers::{Normalised, Spectral};
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Pushforward, Stage, Wanted};
use candle_core::{Result, Tensor};
use gan_ops::fused::{BatchNorm, FusedLayer, GradientSums, Maps, PreparedLayer, Product, Saved, Sloped};
use gan_ops::{Activation, Gradient};
use std::sync::Arc;

/// A product and its weights.
#[derive(Debug, Clone)]
pub(crate) struct Multiplier {
    pub(crate) product: Product,
    /// The weight. With spectral norm, it is the original weight.
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    pub(crate) spectral: Option<Spectral>,
    /// Name of the product's first parameter.
    pub(crate) first: String,
}

/// A batch norm.
#[derive(Debug, Clone)]
pub(crate) struct Normaliser {
    pub(crate) norm: BatchNorm,
    /// Name of the norm's first parameter.
    pub(crate) first: String,
}

impl Multiplier {
    /// Takes a weight from `weights`, and a bias if `parameters` has one.
    pub(crate) fn new(product: Product, parameters: &[Parameter], weights: &mut Weights) -> Result<Self> {
        let first = weights.next_name()?;
        let [weight] = weights.take()?;
        let bias = if parameters.len() > 1 {
            let [bias] = weights.take()?;
            Some(bias)
        } else {
            None
        };
        Ok(Self { product, weight, bias, spectral: None, first })
    }
}

/// A [`Multiplier`], a [`Normaliser`] and an activation as one layer.
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    /// The layer. With spectral norm, it has the original weight.
    layer: FusedLayer,
    spectral: Option<Spectral>,
    /// Name of the first parameter, if there is one.
    first: Option<String>,
}

impl Fused {
    pub(crate) fn stage(
        product: Option<&Multiplier>,
        norm: Option<&Normaliser>,
        activation: Activation,
    ) -> Arc<dyn Stage> {
        let first = product.map(|product| &product.first).or(norm.map(|norm| &norm.first)).cloned();
        let spectral = product.and_then(|product| product.spectral.clone());
        let layer = FusedLayer {
            product: product.map(|p| (p.product, p.weight.clone(), p.bias.clone())),
            norm: norm.map(|norm| norm.norm.clone()),
            activation,
        };
        Arc::new(Self { layer, spectral, first })
    }

    /// The layer with the weight that it multiplies by, which is computed on the tape.
    fn normalised(&self) -> Result<FusedLayer> {
        let mut layer = self.layer.clone();
        if let (Some(spectral), Some((_, weight, _))) = (&self.spectral, &mut layer.product) {
            *weight = spectral.on_tape()?;
        }
        Ok(layer)
    }
}

impl Stage for Fused {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        on_tape(&self.normalised()?, x, mode)
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)> {
        let layer = self.normalised()?;
        let mode = Mode::Train(draws);
        let y = on_tape(&layer, x, mode)?;
        let product = layer.product.map(|(product, weight, _)| (product, weight, None));
        let alone = FusedLayer { product, norm: None, activation: Activation::Identity };
        let moved = on_tape(&alone, tangent, mode)?;
        let positive = || y.detach().gt(0.)?.to_dtype(y.dtype());
        let moved = match (layer.activation, layer.norm) {
            (Activation::Identity, None) => moved,
            (Activation::Relu, None) => (moved * positive()?)?,
            (Activation::LeakyRelu(slope), None) => (moved * positive()?.affine(1. - slope, slope)?)?,
            (Activation::Tanh, _) | (_, Some(_)) => {
                candle_core::bail!("no second order through batch norm or Tanh")
            }
        };
        Ok((y, moved))
    }

    fn is_served(&self) -> bool {
        self.layer.is_served()
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        let normalised = self.spectral.as_ref().map(Spectral::normalise).transpose()?.map(Arc::new);
        let mut layer = self.layer.clone();
        if let (Some(normalised), Some((_, weight, _))) = (&normalised, &mut layer.product) {
            *weight = normalised.weight.clone();
        }
        Ok(Box::new(PreparedFused { layer: layer.prepare(), normalised, first: self.first.clone() }))
    }
}

/// Computes a fused layer on candle's tape.
fn on_tape(layer: &FusedLayer, x: &Tensor, mode: Mode) -> Result<Tensor> {
    let after = if layer.norm.is_some() { Activation::Identity } else { layer.activation };
    let y = match &layer.product {
        Some((Product::Linear, weight, bias)) => gan_ops::linear(x, weight, bias.as_ref(), after)?,
        Some((Product::Conv2d { stride, padding: [rows, columns] }, weight, bias)) if rows == columns => {
            gan_ops::conv2d(x, weight, bias.as_ref(), *stride, *rows, after)?
        }
        Some((Product::Conv2d { stride, padding: [rows, columns] }, weight, bias)) => {
            let x = x.pad_with_zeros(2, *rows, *rows)?.pad_with_zeros(3, *columns, *columns)?;
            gan_ops::conv2d(&x, weight, bias.as_ref(), *stride, 0, after)?
        }
        Some((Product::ConvTranspose2d { stride, padding }, weight, bias)) => {
            gan_ops::conv_transpose2d(x, weight, bias.as_ref(), *stride, *padding, after)?
        }
        None => gan_ops::activate(x, after)?,
    };
    let Some(norm) = &layer.norm else { return Ok(y) };
    match mode {
        Mode::Train(_) => gan_ops::batch_norm_train(&y, norm, layer.activation),
        Mode::Eval => gan_ops::batch_norm_eval(&y, norm, layer.activation),
    }
}

/// A fused layer with its weights in the kernels' order. With spectral norm, it has the
/// normalised weight.
#[derive(Debug)]
struct PreparedFused {
    layer: PreparedLayer,
    normalised: Option<Arc<Normalised>>,
    first: Option<String>,
}

impl PreparedFused {
    /// The sums of the layer's gradients, for inputs of shape `image`.
    fn sums<'g>(&self, sums: &'g mut Gradients, image: [usize; 3]) -> Result<Option<&'g mut GradientSums>> {
        let Some(first) = &self.first else { return Ok(None) };
        let zero = || Ok(Sum { sums: self.layer.gradient(image)?, normalised: None });
        let sum = sums.of(first, zero)?;
        sum.normalised.clone_from(&self.normalised);
        Ok(Some(&mut sum.sums))
    }
}

impl Kernel for PreparedFused {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        self.layer.evaluate(&x)
    }

    fn forward(&self, x: &Maps, _: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        let (y, saved) = self.layer.forward(x)?;
        Ok((y, Box::new(Back { fused: self, image: x.image(), kept: saved })))
    }
}

/// The backward pass of one forward pass over inputs of shape `image`, with the values that it
/// kept.
#[derive(Debug)]
struct Back<'k, K> {
    fused: &'k PreparedFused,
    image: [usize; 3],
    kept: K,
}

impl Pullback for Back<'_, Saved> {
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>> {
        let sums = match sums {
            Some(sums) => self.fused.sums(sums, self.image)?,
            None => None,
        };
        self.fused.layer.backward(self.kept, gradient, sums, wanted == Wanted::Input)
    }

    fn slope<'a>(self: Box<Self>, gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        let Self { fused, image, kept } = *self;
        let (below, kept) = fused.layer.slope(kept, gradient)?;
        Ok((below, Box::new(Back { fused, image, kept })))
    }
}

impl Pushforward for Back<'_, Sloped> {
    fn tangent(&self, tangent: Maps, factors: Option<&[f32]>, sums: &mut Gradients) -> Result<Maps> {
        let sums = self.fused.sums(sums, self.image)?;
        self.fused.layer.tangent(&self.kept, &tangent, factors, sums)
    }
}

/// Sums of a layer's gradients. With spectral norm, they are gradients of the normalised weight,
/// so that weight is kept too.
#[derive(Debug)]
struct Sum {
    sums: GradientSums,
    normalised: Option<Arc<Normalised>>,
}

impl GradientSum for Sum {
    fn clear(&mut self) {
        self.sums.clear();
    }

    fn each(&self, f: &mut dyn FnMut(Gradient<'_>)) {
        // The weight is the first parameter of a layer.
        let mut weight = self.normalised.as_ref();
        self.sums.each(|values| match weight.take() {
            Some(weight) => f(Gradient::Slice(&weight.to_original(values))),
            None => f(Gradient::Slice(values)),
        });
    }
}
