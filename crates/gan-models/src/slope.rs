//! The gradient of a network's results with respect to its input, and how this gradient depends
//! on the weights. Penalties on a discriminator's gradient need both.

use crate::batch::{Batch, Form};
use crate::gradients::Gradients;
use crate::mode::Draws;
use crate::pass::{Back, Pass, Prepared};
use crate::stage::{Pushforward, Stage};
use candle_core::{Result, Tensor};

/// A pass of a network with one result per sample, and the gradient of the sum of the results
/// with respect to its input.
#[derive(Debug)]
pub struct Slope<'a> {
    prepared: &'a Prepared<'a>,
    gradient: Batch,
    way: Way<'a>,
}

/// What computes the gradient's dependence on the weights.
#[derive(Debug)]
enum Way<'a> {
    Kernels(Box<dyn Pushforward + 'a>),
    Tape {
        draws: Draws,
        input: Tensor,
        output: Tensor,
        /// Is 1 at the results that are added for each sample, and 0 at the others.
        chosen: Tensor,
    },
}

impl<'a> Pass<'a> {
    /// Computes the gradient at the input, for a penalty on it. It takes the place of
    /// [`Pass::backward`].
    ///
    /// # Errors
    /// The name of a layer that has no second order: see
    /// [`Layer::refuses_penalties`](crate::Layer::refuses_penalties).
    pub fn slope(self) -> Result<Slope<'a>> {
        if let Some(reason) = self.prepared.network.refuses_penalties() {
            candle_core::bail!("{reason}")
        }
        let samples = self.output.samples()?;
        let ones = Tensor::ones((samples, 1), candle_core::DType::F32, &candle_core::Device::Cpu)?;
        let chosen = self.of_output(&Batch::new(&ones)?)?;
        let Self { prepared, back, .. } = self;
        let (gradient, way) = match back {
            Back::Tape { draws, input, output } => {
                let chosen = chosen.tensor(&prepared.output)?.to_device(output.device())?;
                let grads = (&output * &chosen)?.sum_all()?.backward()?;
                let gradient = match grads.get(&input) {
                    Some(gradient) => gradient.detach(),
                    None => input.zeros_like()?,
                };
                let way = Way::Tape { draws, input: input.as_detached_tensor(), output, chosen };
                (Batch(Form::Tensor(gradient)), way)
            }
            Back::Kernels { pullback, last } => {
                let (gradient, way) = pullback.slope(chosen.maps(&prepared.output)?.reshape(last)?)?;
                (Batch(Form::Maps(gradient)), Way::Kernels(way))
            }
        };
        Ok(Slope { prepared, gradient, way })
    }
}

impl Slope<'_> {
    /// The gradient of the sum of the results with respect to the input, `[B, ...]`. Each sample
    /// has the gradient of its own result. If a discriminator takes several samples together,
    /// they count as one.
    #[must_use]
    pub fn gradient(&self) -> &Batch {
        &self.gradient
    }

    /// Takes the dot product of [`Self::gradient`] and `direction`, with `direction` constant,
    /// and adds its gradient with respect to the weights to `sums`. For a penalty `p(g)`,
    /// `direction` is the gradient of `p` with respect to `g`. If `results`, `[B, 1]`, is given,
    /// it is the gradient of a loss with respect to the results. Then the loss's gradient is
    /// added too, and this costs no further product.
    ///
    /// # Errors
    /// A direction with another shape than the input; gradients of another number of results.
    pub fn backward(self, direction: &Batch, results: Option<&Batch>, sums: &mut Gradients) -> Result<()> {
        match self.way {
            Way::Tape { draws, input, output, chosen } => {
                let direction = direction.tensor(&self.prepared.input)?;
                // `moved` is the derivative of the results in the direction `direction`, which
                // equals the dot product of `direction` and the gradient of the results. So its
                // gradient with respect to the weights is the one to add.
                let (_, moved) = self.prepared.network.chain.directional(&input, &direction, draws)?;
                let mut loss = (moved.reshape(chosen.shape())? * &chosen)?.sum_all()?;
                if let Some(results) = results {
                    let shape: Vec<_> =
                        (0..chosen.rank()).map(|i| if i == 0 { chosen.dims()[0] } else { 1 }).collect();
                    let results = results.to_tensor()?.reshape(shape)?;
                    loss = (loss + (&output * chosen.broadcast_mul(&results)?)?.sum_all()?)?;
                }
                sums.add(&loss.backward()?)
            }
            Way::Kernels(way) => {
                let factors = results.map(Batch::per_sample).transpose()?;
                let direction = direction.maps(&self.prepared.input)?;
                way.tangent(direction, factors.as_deref(), sums)?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
