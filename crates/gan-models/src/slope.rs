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
mod tests {
    use super::*;
    use crate::{Convolution, Layer, Params};
    use candle_core::{Device, Var};
    use candle_nn::VarBuilder;
    use gan_ops::rng::Stream;

    const SHAPE: [usize; 3] = [2, 9, 9];

    fn mlp() -> Vec<Layer> {
        vec![
            Layer::Flatten,
            Layer::Linear { inputs: 162, outputs: 24 },
            Layer::LeakyRelu(0.2),
            Layer::Linear { inputs: 24, outputs: 10 },
            Layer::Relu,
            Layer::Linear { inputs: 10, outputs: 1 },
        ]
    }

    fn convolutions() -> Vec<Layer> {
        let conv = |inputs, outputs, kernel, stride, padding, bias| {
            Layer::Conv2d(Convolution { inputs, outputs, kernel, stride, padding, bias, deviation: 0.02 })
        };
        vec![
            conv(2, 5, 4, 2, 1, true),
            Layer::LeakyRelu(0.2),
            conv(5, 7, 3, 1, 1, false),
            Layer::LeakyRelu(0.1),
            Layer::Flatten,
            Layer::Linear { inputs: 7 * 16, outputs: 1 },
        ]
    }

    fn network(layers: &[Layer]) -> (Sequential, Params) {
        let build = |vb: VarBuilder<'static>| Sequential::new(layers, vb.pp("model"));
        Params::seeded(3, "test", &Device::Cpu, build).unwrap()
    }

    fn normal(name: &str, shape: &[usize]) -> Tensor {
        Stream::new(1, name, 0).normal(shape, &Device::Cpu).unwrap()
    }

    /// The gradients of all weights, one after the other.
    fn flat(gradients: &Gradients, params: &Params) -> Vec<f32> {
        let mut all: Vec<Vec<f32>> = params.trainable().map(|(_, var)| vec![0.; var.elem_count()]).collect();
        gradients
            .each(|i, gradient| {
                all[i] = match gradient {
                    gan_ops::Gradient::Slice(values) => values.to_vec(),
                    gan_ops::Gradient::Tensor(values) => values.flatten_all()?.to_vec1()?,
                };
                Ok(())
            })
            .unwrap();
        all.concat()
    }

    fn close(a: &[f32], b: &[f32], tolerance: f32) {
        assert_eq!(a.len(), b.len());
        let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(apart <= tolerance * largest && largest > 0., "{apart} of {largest}");
    }

    /// `sum of c (|g|^2 - 1)^2 / 4`, whose gradient with respect to g is `c (|g|^2 - 1) g`, and the gradient of the weights;
    /// with a loss `sum of r D(x)` beside it if asked for.
    fn penalty(network: &Sequential, params: &Params, x: &Tensor, with_loss: bool) -> (f64, Vec<f32>) {
        let prepared = network.prepare(&SHAPE, &[1]);
        let pass = prepared.forward(&Batch::new(x).unwrap()).unwrap();
        let results: Vec<f32> = (0..x.dims()[0]).map(|i| i as f32 - 1.5).collect();
        let logits = pass.logits().unwrap().to_vec1::<f32>().unwrap();
        let slope = pass.slope().unwrap();
        let squares = slope.gradient().squares().unwrap();
        let factors: Vec<f32> = squares.iter().map(|s| (0.7 * (s - 1.)) as f32).collect();
        let direction = slope.gradient().combine(&factors, None).unwrap();
        let mut sums = Gradients::new(&prepared, params).unwrap();
        let of_results = Batch::new(&Tensor::new(&results[..], &Device::Cpu).unwrap()).unwrap();
        slope.backward(&direction, with_loss.then_some(&of_results), &mut sums).unwrap();
        let value = squares.iter().map(|s| 0.7 * (s - 1.).powi(2) / 4.).sum::<f64>();
        let loss = logits.iter().zip(&results).map(|(d, r)| f64::from(d * r)).sum::<f64>();
        (value + if with_loss { loss } else { 0. }, flat(&sums, params))
    }

    #[test]
    fn gradients_of_a_penalty_are_those_of_finite_differences() {
        for layers in [mlp(), convolutions()] {
            let (network, params) = network(&layers);
            // Larger weights than fresh ones, so that the penalty is no small number.
            for (_, var) in params.trainable() {
                var.set(&(var.as_detached_tensor() * 3.).unwrap()).unwrap();
            }
            let x = normal("x", &[3, 2, 9, 9]);
            for with_loss in [false, true] {
                let (_, found) = penalty(&network, &params, &x, with_loss);
                let scale = f64::from(found.iter().fold(0f32, |m, v| m.max(v.abs())));
                let (mut at, mut checked, mut apart) = (0, 0, vec![]);
                for (name, var) in params.trainable() {
                    let count = var.elem_count();
                    let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    for i in (0..count).step_by(count.div_ceil(7)) {
                        let moved = |by: f32| {
                            let mut values = values.clone();
                            values[i] += by;
                            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
                            penalty(&network, &params, &x, with_loss).0
                        };
                        let expected = (moved(3e-4) - moved(-3e-4)) / 6e-4;
                        moved(0.);
                        checked += 1;
                        if (f64::from(found[at + i]) - expected).abs() > 5e-3 * scale {
                            apart.push(format!("{name}[{i}]: {} {expected}", found[at + i]));
                        }
                    }
                    at += count;
                }
                // Where an activation changes sides between the two points, the penalty jumps: seldom, and not never.
                assert!(checked > 25 && apart.len() * 8 < checked, "of {checked}: {apart:?}");
            }
        }
    }

    #[test]
    fn layers_and_tape_agree() {
        for layers in [mlp(), convolutions()] {
            let (network, params) = network(&layers);
            let x = normal("x", &[5, 2, 9, 9]);
            let v = normal("v", &[5, 2, 9, 9]);
            let prepared = network.prepare(&SHAPE, &[1]);
            let slope = prepared.forward(&Batch::new(&x).unwrap()).unwrap().slope().unwrap();
            let input = Var::from_tensor(&x).unwrap();
            let sum = network.forward(&input, crate::Mode::Train).unwrap().sum_all().unwrap();
            let on_tape = sum.backward().unwrap().get(&input).unwrap().flatten_all().unwrap();
            let gradient = slope.gradient().to_tensor().unwrap().flatten_all().unwrap();
            close(&gradient.to_vec1().unwrap(), &on_tape.to_vec1().unwrap(), 1e-5);
            let mut sums = Gradients::new(&prepared, &params).unwrap();
            slope.backward(&Batch::new(&v).unwrap(), None, &mut sums).unwrap();
            let grads = network.directional(&x, &v).unwrap().sum_all().unwrap().backward().unwrap();
            let expected: Vec<Vec<f32>> = params
                .trainable()
                .map(|(_, var)| match grads.get(var) {
                    Some(gradient) => gradient.flatten_all().unwrap().to_vec1().unwrap(),
                    None => vec![0.; var.elem_count()],
                })
                .collect();
            close(&flat(&sums, &params), &expected.concat(), 1e-5);
        }
    }

    #[test]
    fn a_tanh_has_a_second_derivative_and_batch_norm_is_refused() {
        let layers = [
            Layer::Flatten,
            Layer::Linear { inputs: 162, outputs: 3 },
            Layer::Tanh,
            Layer::Linear { inputs: 3, outputs: 1 },
        ];
        let (smooth, params) = network(&layers);
        let x = normal("x", &[3, 2, 9, 9]);
        let result =
            smooth.prepare(&SHAPE, &[1]).forward(&Batch::new(&x).unwrap()).unwrap().slope().map(|_| ());
        // The kernels have none for it, and say so.
        assert_eq!(result.is_err(), cfg!(feature = "fused"));
        assert!(!smooth.couples_samples() && params.count() > 0);
        let (coupled, _) = network(&[
            Layer::BatchNorm2d { channels: 2 },
            Layer::Flatten,
            Layer::Linear { inputs: 162, outputs: 1 },
        ]);
        assert!(coupled.couples_samples());
        let prepared = coupled.prepare(&SHAPE, &[1]);
        let problem = prepared.forward(&Batch::new(&x).unwrap()).unwrap().slope().unwrap_err().to_string();
        assert!(problem.contains("couples the samples"), "{problem}");
    }
}
