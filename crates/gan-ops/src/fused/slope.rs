//! Second order, for penalties on a gradient: how the gradient at a layer's input depends on the
//! layer's weights.
//!
//! The activations here are piecewise linear. So the gradient `g` of a network's output with
//! respect to its input is a product of weights: `g = W1' M1 W2' M2 ...`, where the `M` are the
//! slopes of the activations. A small change of a weight does not change these slopes. Therefore
//! the gradient of `v . g` with respect to the weights of one layer is a product of two parts. The
//! first part is the gradient that the backward pass brings to the layer (`delta` in [`Sloped`]).
//! The second part is what the layers before this one make of `v` (a tangent). This takes two
//! products for each layer, and no second tape.

use super::Maps;
use super::layer::{GradientSums, PreparedLayer, Saved, add};
use crate::Activation;
use crate::kernels::{self, Finish, Isa};
use candle_core::Result;

/// The values that [`PreparedLayer::slope`] keeps for [`PreparedLayer::tangent`].
#[derive(Debug)]
pub struct Sloped {
    /// The layer's input.
    x: Maps,
    /// Gradient of the product's result.
    delta: Maps,
    /// The layer's output. Its sign is the sign of the activation's input.
    y: Maps,
}

impl PreparedLayer {
    /// Whether [`Self::slope`] and [`Self::tangent`] are exact for this layer. It must have no
    /// batch norm, and its activation must be piecewise linear.
    #[must_use]
    pub fn is_piecewise_linear(&self) -> bool {
        self.layer.norm.is_none() && !matches!(self.layer.activation, Activation::Tanh)
    }

    /// Computes the gradient of the input from the gradient of the output. Also returns the values
    /// that [`Self::tangent`] needs.
    ///
    /// # Errors
    /// A gradient with another shape than the output; a layer that is not
    /// [`Self::is_piecewise_linear`].
    pub fn slope(&self, saved: Saved, gradient: Maps) -> Result<(Maps, Sloped)> {
        if !self.is_piecewise_linear() {
            candle_core::bail!("no second order through batch norm or Tanh")
        }
        let Saved { x, y, .. } = saved;
        let (image, batch) = (gradient.image, gradient.batch);
        if (image, batch) != (y.image, y.batch) {
            candle_core::bail!("a gradient of {:?} for an output of {:?}", gradient.image(), y.image())
        }
        let mut values = gradient.into_values();
        kernels::finish_all(Isa::best(), image, batch, &mut values, self.mask(&y));
        let delta = Maps::new(image, batch, values);
        let to_input = match &self.weights {
            Some(weights) => weights.input_gradient(x.image, &delta, Finish::Keep)?,
            None => delta.clone(),
        };
        Ok((to_input, Sloped { x, delta, y }))
    }

    /// Returns how the output moves if the input moves by `tangent`.
    ///
    /// Adds to `sums`, if given, the gradient, with respect to the weights, of the dot product of
    /// `tangent` and the input's gradient from [`Self::slope`]. That input's gradient does not
    /// depend on the bias, so nothing is added for the bias.
    ///
    /// With `factors`, it also adds a first-order gradient to `sums`. The gradient of the output
    /// is then, for each sample, its factor times the gradient that [`Self::slope`] took. Both
    /// gradients are products with the same `delta`, so together they cost one product.
    ///
    /// # Errors
    /// A tangent with another shape than the input; a number of factors that is not the number of
    /// samples.
    pub fn tangent(
        &self,
        sloped: &Sloped,
        tangent: &Maps,
        factors: Option<&[f32]>,
        sums: Option<&mut GradientSums>,
    ) -> Result<Maps> {
        let Sloped { x, y, .. } = sloped;
        if (tangent.image, tangent.batch) != (x.image, x.batch) {
            candle_core::bail!("a tangent of {:?} for an input of {:?}", tangent.image(), x.image())
        }
        if let Some(sums) = sums {
            self.add_tangent(sloped, tangent, factors, sums)?;
        }
        if let Some(weights) = &self.weights {
            return weights.forward(tangent, self.mask(y));
        }
        let mut values = (*tangent.values).clone();
        kernels::finish_all(Isa::best(), y.image, y.batch, &mut values, self.mask(y));
        Ok(Maps::new(y.image, y.batch, values))
    }

    fn add_tangent(
        &self,
        Sloped { x, delta, .. }: &Sloped,
        tangent: &Maps,
        factors: Option<&[f32]>,
        sums: &mut GradientSums,
    ) -> Result<()> {
        if let Some(factors) = factors {
            if let (Some(sum), Some(weights)) = (&mut sums.weight, &self.weights) {
                let ones = vec![1.; tangent.batch];
                weights.add_gradient(sum, &tangent.combine(&ones, Some((x, factors)))?, delta);
            }
            if let Some(sum) = &mut sums.bias {
                let delta = delta.combine(factors, None)?;
                add(sum, &kernels::channel_sums(Isa::best(), delta.image, delta.batch, &delta.values));
            }
        } else if let (Some(sum), Some(weights)) = (&mut sums.weight, &self.weights) {
            weights.add_gradient(sum, tangent, delta);
        }
        Ok(())
    }

    fn mask<'a>(&self, y: &'a Maps) -> Finish<'a> {
        Finish::Backward { output: &y.values, activation: self.layer.activation }
    }
}
