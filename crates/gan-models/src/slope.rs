//! The gradient of a network's results with respect to its input, and how it depends on the weights: what penalties on a
//! discriminator's gradient are made of.

use crate::batch::{Batch, Form};
use crate::gradients::Gradients;
use crate::part::{Part, Step, Sum, of_layer, of_residual};
use crate::pass::{Pass, Prepared, Saved};
use crate::sequential::{Mode, Sequential};
use crate::stage::{Stage, on_tape};
use candle_core::{Result, Tensor};
use gan_ops::fused::{self, Maps};
use gan_ops::{Activation, average_pool, upsample};

/// A pass of a network with one result per sample, and the gradient of the sum of the results with respect to its input.
#[derive(Debug)]
pub struct Slope<'a> {
    prepared: &'a Prepared<'a>,
    gradient: Batch,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Parts(Vec<Sloped>),
    Tape {
        input: Tensor,
        output: Tensor,
        /// Of which results each sample's is the sum.
        chosen: Tensor,
    },
}

/// What a part keeps on the way back.
#[derive(Debug)]
enum Sloped {
    Layer(fused::Sloped),
    /// The shape of what a view gave.
    View([usize; 3]),
    Linear,
    Residual {
        body: Vec<Sloped>,
        shortcut: Vec<Sloped>,
    },
}

impl Sequential {
    /// How the results move where the input moves by `tangent`, on candle's tape: its gradient with respect to the weights is
    /// that of the dot product of `tangent` and the gradient of the results, as `tangent` moves nothing but itself.
    fn directional(&self, x: &Tensor, tangent: &Tensor) -> Result<Tensor> {
        Ok(directional(&self.0, x, tangent)?.1)
    }
}

/// The output and how it moves.
fn directional(stages: &[Stage], x: &Tensor, tangent: &Tensor) -> Result<(Tensor, Tensor)> {
    let (mut x, mut tangent) = (x.clone(), tangent.clone());
    for stage in stages {
        (x, tangent) = stage.directional(&x, &tangent)?;
    }
    Ok((x, tangent))
}

impl Stage {
    fn directional(&self, x: &Tensor, tangent: &Tensor) -> Result<(Tensor, Tensor)> {
        let fused = match self {
            Self::Fused(fused) => fused,
            Self::Flatten => return Ok((x.flatten_from(1)?, tangent.flatten_from(1)?)),
            Self::Upsample => return Ok((upsample(x)?, upsample(tangent)?)),
            Self::AvgPool2d => return Ok((average_pool(x)?, average_pool(tangent)?)),
            Self::MinibatchStd(_) => candle_core::bail!("minibatch standard deviation couples the samples"),
            Self::Residual { body, shortcut } => {
                let (y, moved) = directional(body, x, tangent)?;
                let (other, moved_too) = directional(shortcut, x, tangent)?;
                return Ok(((y + other)?, (moved + moved_too)?));
            }
        };
        let layer = fused.normalised()?;
        let y = on_tape(&layer, x, Mode::Train)?;
        let product = layer.product.map(|(product, weight, _)| (product, weight, None));
        let alone = fused::Layer { product, norm: None, activation: Activation::Identity };
        let moved = on_tape(&alone, tangent, Mode::Train)?;
        let moved = match layer.activation {
            Activation::Identity => moved,
            Activation::Relu => (moved * y.detach().gt(0.)?.to_dtype(y.dtype())?)?,
            Activation::LeakyRelu(slope) => {
                let positive = y.detach().gt(0.)?.to_dtype(y.dtype())?;
                (moved * positive.affine(1. - slope, slope)?)?
            }
            Activation::Tanh => (moved * y.sqr()?.affine(-1., 1.)?)?,
        };
        Ok((y, moved))
    }
}

impl<'a> Pass<'a> {
    /// Goes back to the input, for a penalty on the gradient there. In place of [`Pass::backward`].
    ///
    /// # Errors
    /// Batch norm or minibatch standard deviation, through which there is no gradient of one sample's result.
    pub fn slope(self) -> Result<Slope<'a>> {
        if self.prepared.network.couples_samples() {
            candle_core::bail!(
                "batch norm or minibatch standard deviation couples the samples: there is no gradient of one sample's result"
            )
        }
        let samples = self.output.samples()?;
        let ones = Tensor::ones((samples, 1), candle_core::DType::F32, &candle_core::Device::Cpu)?;
        let chosen = self.of_output(&Batch::new(&ones)?)?;
        let Self { prepared, saved, .. } = self;
        let (gradient, kept) = match saved {
            Saved::Tape { input, output } => {
                let chosen = chosen.tensor(&prepared.output)?.to_device(output.device())?;
                let grads = (&output * &chosen)?.sum_all()?.backward()?;
                let gradient = match grads.get(&input) {
                    Some(gradient) => gradient.detach(),
                    None => input.zeros_like()?,
                };
                let kept = Kept::Tape { input: input.as_detached_tensor(), output, chosen };
                (Batch(Form::Tensor(gradient)), kept)
            }
            Saved::Parts { steps, last } => {
                let gradient = chosen.maps(&prepared.output)?.reshape(last)?;
                let (gradient, parts) = slope(&prepared.parts, steps, gradient)?;
                (Batch(Form::Maps(gradient)), Kept::Parts(parts))
            }
        };
        Ok(Slope { prepared, gradient, kept })
    }
}

fn slope(parts: &[Part], steps: Vec<Step>, mut gradient: Maps) -> Result<(Maps, Vec<Sloped>)> {
    let mut kept = vec![];
    for (part, step) in parts.iter().zip(steps).rev() {
        let above = gradient.image();
        let (below, sloped) = match (part, step) {
            (Part::Layer { layer, .. }, Step::Layer(saved)) => {
                let (below, sloped) = layer.slope(saved, gradient)?;
                (below, Sloped::Layer(sloped))
            }
            (Part::Upsample, _) => (gradient.reduce(1.)?, Sloped::Linear),
            (Part::AvgPool2d, _) => (gradient.enlarge(0.25)?, Sloped::Linear),
            (Part::Residual { body, shortcut }, Step::Residual { body: steps, shortcut: others }) => {
                let (below, body) = slope(body, steps, gradient.clone())?;
                let (other, shortcut) = slope(shortcut, others, gradient)?;
                (below.plus(&other)?, Sloped::Residual { body, shortcut })
            }
            (_, Step::View(below)) => (gradient.reshape(below)?, Sloped::View(above)),
            _ => candle_core::bail!("a pass of another network"),
        };
        kept.push(sloped);
        gradient = below;
    }
    kept.reverse();
    Ok((gradient, kept))
}

impl Slope<'_> {
    /// The gradient of the sum of the results with respect to the input: of each sample's own result, `[B, ...]`. Where a
    /// discriminator sees some samples at once, those are one.
    #[must_use]
    pub fn gradient(&self) -> &Batch {
        &self.gradient
    }

    /// Adds to `sums` the gradient, with respect to the weights, of the dot product of [`Self::gradient`] and `direction`,
    /// which is taken as constant: for a penalty `p(g)`, `direction` is its gradient with respect to `g`. With the gradient of
    /// some loss with respect to the `results`, `[B, 1]`, adds the loss's gradient too, at no further product.
    ///
    /// # Errors
    /// A direction of another shape than the input; gradients of another number of results.
    pub fn backward(self, direction: &Batch, results: Option<&Batch>, sums: &mut Gradients) -> Result<()> {
        match self.kept {
            Kept::Tape { input, output, chosen } => {
                let direction = direction.tensor(&self.prepared.input)?;
                let moved = self.prepared.network.directional(&input, &direction)?;
                let mut loss = (moved.reshape(chosen.shape())? * &chosen)?.sum_all()?;
                if let Some(results) = results {
                    let shape: Vec<_> =
                        (0..chosen.rank()).map(|i| if i == 0 { chosen.dims()[0] } else { 1 }).collect();
                    let results = results.to_tensor()?.reshape(shape)?;
                    loss = (loss + (&output * chosen.broadcast_mul(&results)?)?.sum_all()?)?;
                }
                sums.add(&loss.backward()?)
            }
            Kept::Parts(parts) => {
                let factors = results.map(Batch::per_sample).transpose()?;
                let direction = direction.maps(&self.prepared.input)?;
                tangent(
                    &self.prepared.parts,
                    &parts,
                    direction,
                    factors.as_deref(),
                    sums.parts().unwrap_or_default(),
                )?;
                Ok(())
            }
        }
    }
}

/// How the output moves where the input moves by `moved`; adds to `sums` on the way.
fn tangent(
    parts: &[Part],
    kept: &[Sloped],
    mut moved: Maps,
    factors: Option<&[f32]>,
    sums: &mut [Sum],
) -> Result<Maps> {
    if sums.len() != parts.len() {
        candle_core::bail!("gradients of another network")
    }
    for ((part, sloped), sum) in parts.iter().zip(kept).zip(sums) {
        moved = match (part, sloped) {
            (Part::Layer { layer, normalised }, Sloped::Layer(sloped)) => {
                let Some(sums) = of_layer(Some(sum), normalised.as_ref()) else {
                    candle_core::bail!("gradients of another network")
                };
                layer.tangent(sloped, &moved, factors, sums)?
            }
            (Part::Upsample, _) => moved.enlarge(1.)?,
            (Part::AvgPool2d, _) => moved.reduce(0.25)?,
            (Part::Residual { body, shortcut }, Sloped::Residual { body: kept, shortcut: others }) => {
                let Some((of_body, of_shortcut)) = of_residual(Some(sum)) else {
                    candle_core::bail!("gradients of another network")
                };
                let y = tangent(body, kept, moved.clone(), factors, of_body)?;
                y.plus(&tangent(shortcut, others, moved, factors, of_shortcut)?)?
            }
            (_, Sloped::View(shape)) => moved.reshape(*shape)?,
            _ => candle_core::bail!("a pass of another network"),
        };
    }
    Ok(moved)
}

#[cfg(test)]
mod tests;
