//! A product, batch norm and activation as one layer.

use super::product::Weights;
use super::{BatchNorm, Maps, Product};
use crate::Activation;
use crate::geometry::Image;
use crate::kernels::{self, Finish, Isa, Statistics, WeightGradient};
use crate::slices;
use candle_core::{Result, Tensor};

/// Computes `activation(norm(product(x) + bias))`. Each part may be missing.
#[derive(Debug, Clone)]
pub struct FusedLayer {
    /// The product, its weight and its bias.
    pub product: Option<(Product, Tensor, Option<Tensor>)>,
    /// Batch normalisation.
    pub norm: Option<BatchNorm>,
    /// The activation.
    pub activation: Activation,
}

/// A layer with its present weights in the kernels' order. Prepare it again after each update of
/// the weights.
#[derive(Debug)]
pub struct PreparedLayer {
    pub(super) layer: FusedLayer,
    pub(super) weights: Option<Weights>,
}

/// The values that a forward pass keeps for its backward pass.
#[derive(Debug)]
pub struct Saved {
    pub(super) x: Maps,
    /// The input of batch norm, and its statistics.
    normed: Option<(Maps, Statistics)>,
    pub(super) y: Maps,
}

/// Gradients of a layer's parameters. They are the sums over the backward passes since the last
/// [`GradientSums::clear`].
#[derive(Debug)]
pub struct GradientSums {
    pub(super) weight: Option<WeightGradient>,
    pub(super) bias: Option<Vec<f32>>,
    norm: Option<[Vec<f32>; 2]>,
}

impl FusedLayer {
    /// Whether [`PreparedLayer`] can compute the layer. [`super::serves`] must be true for its
    /// tensors, and the activation must keep the sign.
    #[must_use]
    pub fn is_served(&self) -> bool {
        let tensors = self.product.iter().map(|p| &p.1).chain(self.norm.iter().map(|n| &n.weight));
        tensors.into_iter().all(|t| super::serves(t.device(), t.dtype())) && self.activation.keeps_sign()
    }

    /// Shape of the output for an input of this shape: channels, height, width.
    ///
    /// # Errors
    /// A shape that the layer cannot take.
    pub fn output(&self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3]> {
        let Some((product, weight, _)) = &self.product else { return Ok([channels, height, width]) };
        let g = product.geometry(weight, Image { channels, height, width })?;
        let out = if product.is_transposed() { g.big } else { g.small };
        Ok([out.channels, out.height, out.width])
    }

    /// Prepares the layer with its present weights.
    #[must_use]
    pub fn prepare(&self) -> PreparedLayer {
        let weights = self.product.as_ref().map(|(product, weight, _)| Weights::new(*product, weight));
        PreparedLayer { layer: self.clone(), weights }
    }
}

impl PreparedLayer {
    /// Returns gradients of zero, for inputs of this shape: channels, height, width.
    ///
    /// # Errors
    /// A shape that the layer cannot take.
    pub fn gradient(&self, [channels, height, width]: [usize; 3]) -> Result<GradientSums> {
        let image = Image { channels, height, width };
        let (weight, bias) = match &self.layer.product {
            Some((product, weight, bias)) => {
                let sums = WeightGradient::new(product.geometry(weight, image)?);
                (Some(sums), bias.as_ref().map(|b| vec![0.; b.elem_count()]))
            }
            None => (None, None),
        };
        let norm = self.layer.norm.as_ref().map(|n| [&n.weight, &n.bias].map(|t| vec![0.; t.elem_count()]));
        Ok(GradientSums { weight, bias, norm })
    }

    /// Computes the layer in training. Batch norm uses the statistics of the batch and moves the
    /// running statistics.
    ///
    /// # Errors
    /// A shape that the layer cannot take; batch norm over a single value per channel; a negative
    /// slope.
    pub fn forward(&self, x: &Maps) -> Result<(Maps, Saved)> {
        let Some(norm) = &self.layer.norm else {
            let y = self.multiply(x, self.layer.activation)?;
            return Ok((y.clone(), Saved { x: x.clone(), normed: None, y }));
        };
        let before = match &self.weights {
            Some(_) => self.multiply(x, Activation::Identity)?,
            None => x.clone(),
        };
        let (y, statistics) = norm.forward(&before, self.layer.activation)?;
        Ok((y.clone(), Saved { x: x.clone(), normed: Some((before, statistics)), y }))
    }

    /// Computes the layer in evaluation. Batch norm uses the running statistics, and is folded
    /// into the product before it.
    ///
    /// # Errors
    /// A shape that the layer cannot take.
    pub fn evaluate(&self, x: &Maps) -> Result<Maps> {
        let Some(norm) = &self.layer.norm else { return self.multiply(x, self.layer.activation) };
        let [weight, bias, mean, var] =
            [&norm.weight, &norm.bias, &norm.running_mean, &norm.running_var].map(Tensor::to_vec1::<f32>);
        let (mut scale, mut shift, mean, var) = (weight?, bias?, mean?, var?);
        let before = match &self.layer.product {
            Some((_, _, Some(bias))) => bias.to_vec1()?,
            _ => vec![0.; scale.len()],
        };
        let channels = scale.len();
        if [shift.len(), mean.len(), var.len(), before.len()] != [channels; 4] {
            candle_core::bail!("batch norm of {channels} channels with others beside it")
        }
        for c in 0..channels {
            scale[c] = (f64::from(scale[c]) / (f64::from(var[c]) + norm.eps).sqrt()) as f32;
            shift[c] += (before[c] - mean[c]) * scale[c];
        }
        let activation = self.layer.activation;
        self.finish(x, Finish::Forward { scale: Some(&scale), shift: Some(&shift), activation })
    }

    fn multiply(&self, x: &Maps, activation: Activation) -> Result<Maps> {
        match &self.layer.product {
            Some((_, _, Some(bias))) => slices::read(&bias.contiguous()?, |bias| {
                self.finish(x, Finish::Forward { scale: None, shift: Some(bias), activation })
            })?,
            _ => self.finish(x, Finish::Forward { scale: None, shift: None, activation }),
        }
    }

    fn finish(&self, x: &Maps, end: Finish<'_>) -> Result<Maps> {
        let [outputs, ..] = self.layer.output(x.image())?;
        if let Finish::Forward { scale, shift, activation } = end {
            let lengths = [scale, shift].map(|values| values.map_or(outputs, <[f32]>::len));
            if lengths != [outputs; 2] || !activation.keeps_sign() {
                candle_core::bail!(
                    "a layer of {outputs} channels with {lengths:?} per channel and {activation:?}"
                )
            }
        }
        if let Some(weights) = &self.weights {
            return weights.forward(x, end);
        }
        let mut values = (*x.values).clone();
        kernels::finish_all(Isa::best(), x.image, x.batch, &mut values, end);
        Ok(Maps::new(x.image, x.batch, values))
    }

    /// Takes the gradient of the layer's output. Adds the gradients of the parameters to `sums`,
    /// if given. Returns the gradient of the input if `input` is set.
    ///
    /// # Errors
    /// A gradient with another shape than the output.
    pub fn backward(
        &self,
        saved: Saved,
        gradient: Maps,
        sums: Option<&mut GradientSums>,
        input: bool,
    ) -> Result<Option<Maps>> {
        let Saved { x, normed, y } = saved;
        let (image, batch) = (gradient.image, gradient.batch);
        if (image, batch) != (y.image, y.batch) {
            candle_core::bail!("a gradient of {:?} for an output of {:?}", gradient.image(), y.image())
        }
        let mut values = gradient.into_values();
        let activation = self.layer.activation;
        let of_norm = if let (Some(norm), Some((before, statistics))) = (&self.layer.norm, normed) {
            Some(norm.backward(&before, &statistics, &y, activation, &mut values)?)
        } else {
            let end = Finish::Backward { output: &y.values, activation };
            kernels::finish_all(Isa::best(), image, batch, &mut values, end);
            None
        };
        drop(y);
        let gradient = Maps::new(image, batch, values);
        if let Some(sums) = sums {
            if let (Some(sum), Some(weights)) = (&mut sums.weight, &self.weights) {
                weights.add_gradient(sum, &x, &gradient);
            }
            if let Some(sum) = &mut sums.bias {
                add(sum, &kernels::channel_sums(Isa::best(), image, batch, &gradient.values));
            }
            for (sum, values) in sums.norm.iter_mut().flatten().zip(of_norm.iter().flatten()) {
                add(sum, values);
            }
        }
        match &self.weights {
            Some(weights) if input => weights.input_gradient(x.image, &gradient, Finish::Keep).map(Some),
            _ => Ok(input.then_some(gradient)),
        }
    }
}

impl GradientSums {
    /// Sets the sums to zero.
    pub fn clear(&mut self) {
        if let Some(weight) = &mut self.weight {
            weight.clear();
        }
        for sum in self.bias.iter_mut().chain(self.norm.iter_mut().flatten()) {
            sum.fill(0.);
        }
    }

    /// Calls `f` with the gradient of each parameter, in the order in which the parameter is
    /// stored. The parameters are the weight and bias of the product, then the weight and bias of
    /// batch norm.
    pub fn each(&self, mut f: impl FnMut(&[f32])) {
        if let Some(weight) = &self.weight {
            weight.read(Isa::best(), &mut f);
        }
        self.bias.iter().chain(self.norm.iter().flatten()).for_each(|sum| f(sum));
    }
}

pub(super) fn add(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(s, v)| *s += v);
}
