//! The gradient of a network's results with respect to its input, and how it depends on the weights: what penalties on a
//! discriminator's gradient are made of.

use crate::gradients::Gradients;
use crate::pass::{Batch, Form, Pass, Prepared, Saved, Step};
use crate::sequential::{Sequential, Stage};
use candle_core::{Result, Tensor};
use gan_ops::Activation;
use gan_ops::fused::{self, Maps};

/// A pass of a network with one result per sample, and the gradient of the sum of the results with respect to its input.
#[derive(Debug)]
pub struct Slope<'a> {
    prepared: &'a Prepared<'a>,
    gradient: Batch,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Layers(Vec<Part>),
    Tape { input: Tensor, output: Tensor },
}

#[derive(Debug)]
enum Part {
    Layer(fused::Sloped),
    /// The shape of what a view gave.
    View([usize; 3]),
}

impl Sequential {
    /// Whether a sample's result depends on the others in training, as batch norm makes it: then there is no gradient of one
    /// sample's result, and no penalty on it.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.0.iter().any(|stage| matches!(stage, Stage::Fused(layer) if layer.norm.is_some()))
    }

    /// How the results move where the input moves by `tangent`, on candle's tape: its gradient with respect to the weights is
    /// that of the dot product of `tangent` and the gradient of the results, as `tangent` moves nothing but itself.
    fn directional(&self, x: &Tensor, tangent: &Tensor) -> Result<Tensor> {
        let (mut x, mut tangent) = (x.clone(), tangent.clone());
        for stage in &self.0 {
            let y = stage.forward(&x, crate::Mode::Train)?;
            tangent = stage.tangent(&y, &tangent)?;
            x = y;
        }
        Ok(tangent)
    }
}

impl Stage {
    /// The derivative in the direction of a tangent, where the output is `y`.
    fn tangent(&self, y: &Tensor, tangent: &Tensor) -> Result<Tensor> {
        let Self::Fused(layer) = self else { return tangent.flatten_from(1) };
        let moved = self.product_alone(tangent)?;
        match layer.activation {
            Activation::Identity => Ok(moved),
            Activation::Relu => moved * y.detach().gt(0.)?.to_dtype(y.dtype())?,
            Activation::LeakyRelu(slope) => {
                let positive = y.detach().gt(0.)?.to_dtype(y.dtype())?;
                moved * positive.affine(1. - slope, slope)?
            }
            Activation::Tanh => moved * y.sqr()?.affine(-1., 1.)?,
        }
    }
}

impl<'a> Pass<'a> {
    /// Goes back to the input, for a penalty on the gradient there. In place of [`Pass::backward`].
    ///
    /// # Errors
    /// Batch norm, through which there is no gradient of one sample's result.
    pub fn slope(self) -> Result<Slope<'a>> {
        let Self { prepared, output, saved } = self;
        if prepared.network.couples_samples() {
            candle_core::bail!("batch norm couples the samples: there is no gradient of one sample's result")
        }
        let (gradient, kept) = match saved {
            Saved::Tape { input, output } => {
                let grads = output.sum_all()?.backward()?;
                let gradient = match grads.get(&input) {
                    Some(gradient) => gradient.detach(),
                    None => input.zeros_like()?,
                };
                (Batch(Form::Tensor(gradient)), Kept::Tape { input: input.as_detached_tensor(), output })
            }
            Saved::Layers(steps) => {
                let ones =
                    Tensor::ones((output.samples()?, 1), candle_core::DType::F32, &candle_core::Device::Cpu)?;
                let mut gradient = Maps::from_tensor(&ones)?.reshape(crate::pass::image(&prepared.output))?;
                let mut parts = vec![];
                for (i, step) in steps.into_iter().enumerate().rev() {
                    let shape = gradient.image();
                    match (step, prepared.layers.get(i).and_then(Option::as_ref)) {
                        (Step::Layer(saved), Some(layer)) => {
                            let (below, sloped) = layer.slope(saved, gradient)?;
                            parts.push(Part::Layer(sloped));
                            gradient = below;
                        }
                        (Step::View(below), _) => {
                            parts.push(Part::View(shape));
                            gradient = gradient.reshape(below)?;
                        }
                        (Step::Layer(_), None) => candle_core::bail!("a layer that was not prepared"),
                    }
                }
                parts.reverse();
                (Batch(Form::Maps(gradient)), Kept::Layers(parts))
            }
        };
        Ok(Slope { prepared, gradient, kept })
    }
}

impl Slope<'_> {
    /// The gradient of the sum of the results with respect to the input: of each sample's own result, `[B, ...]`.
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
            Kept::Tape { input, output } => {
                let direction = direction.tensor(&self.prepared.input)?;
                let mut loss = self.prepared.network.directional(&input, &direction)?.sum_all()?;
                if let Some(results) = results {
                    let results = results.tensor(&self.prepared.output)?;
                    loss = (loss + (&output * results)?.sum_all()?)?;
                }
                sums.add(&loss.backward()?)
            }
            Kept::Layers(parts) => {
                let factors = results.map(Batch::per_sample).transpose()?;
                let mut tangent = direction.maps(&self.prepared.input)?;
                for (i, part) in parts.iter().enumerate() {
                    tangent =
                        match (part, self.prepared.layers.get(i).and_then(Option::as_ref), sums.layer(i)) {
                            (Part::Layer(sloped), Some(layer), Some(sums)) => {
                                layer.tangent(sloped, &tangent, factors.as_deref(), sums)?
                            }
                            (Part::View(shape), ..) => tangent.reshape(*shape)?,
                            (Part::Layer(_), ..) => candle_core::bail!("gradients of another network"),
                        };
                }
                Ok(())
            }
        }
    }
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
            Layer::Conv2d(Convolution { inputs, outputs, kernel, stride, padding, bias })
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
