//! Second order, for penalties on a gradient: how a layer's gradient with respect to its input depends on its weights.
//!
//! Where activations are straight lines, the gradient `g` of a network's output with respect to its input is a product of
//! the weights, `g = W1' M1 W2' M2 ...` with the slopes `M` of the activations, which no small change of a weight moves.
//! So the gradient of `v . g` with respect to a layer's weights is that of a product: what comes down from the output
//! (`delta`, [`Sloped`]) times what `v` has become on its way up (a tangent). Two products a layer, and no second tape.

use super::Maps;
use super::layer::{GradientSums, PreparedLayer, Saved, add};
use crate::Activation;
use crate::kernels::{self, Finish, Isa};
use candle_core::Result;

/// What a layer keeps of the pass that gave the gradient of its input.
#[derive(Debug)]
pub struct Sloped {
    /// The layer's input.
    x: Maps,
    /// Gradient of the product's result.
    delta: Maps,
    /// The layer's output, for the sign of what the activation took.
    y: Maps,
}

impl PreparedLayer {
    /// Whether [`Self::slope`] and [`Self::tangent`] are right for it: no batch norm, and an activation of straight lines.
    #[must_use]
    pub fn is_piecewise_linear(&self) -> bool {
        self.layer.norm.is_none() && !matches!(self.layer.activation, Activation::Tanh)
    }

    /// From the gradient of the output, that of the input, and what [`Self::tangent`] needs.
    ///
    /// # Errors
    /// A gradient of another shape than the output; a layer that is not [`Self::is_piecewise_linear`].
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

    /// How the output moves where the input moves by `tangent`.
    ///
    /// Adds to `sums`, if given, the gradient, with respect to the weights, of the dot product of `tangent` and the input's gradient that
    /// [`Self::slope`] gave; that of a bias is 0. With `factors`, also the first-order gradient for an output's gradient of
    /// `factors` times that which [`Self::slope`] took, sample by sample: both are products with the same `delta`, and cost one.
    ///
    /// # Errors
    /// A tangent of another shape than the input; another number of factors than samples.
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
