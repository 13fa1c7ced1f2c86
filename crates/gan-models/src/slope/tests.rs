//! Compares second-order gradients with finite differences, and the kernels with the tape.

use super::*;
use crate::{Convolution, Layer, Mode, Params, Sequential};
use candle_core::{Device, Var};
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

fn dropout() -> Vec<Layer> {
    let mut layers = mlp();
    layers.insert(3, Layer::Dropout { p: 0.3 });
    layers
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
    Sequential::seeded(layers, 3, "test", &Device::Cpu).unwrap()
}

fn normal(name: &str, shape: &[usize]) -> Tensor {
    Stream::new(1, name, 0).normal(shape, &Device::Cpu).unwrap()
}

/// The gradients of all weights, one after the other.
fn flat(gradients: &Gradients, params: &Params) -> Vec<f32> {
    let mut all = vec![0.; params.count()];
    gradients.read_flat(&mut all).unwrap();
    all
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
    assert!(apart <= tolerance * largest && largest > 0., "{apart} of {largest}");
}

/// Returns the penalty `sum of c (|g|^2 - 1)^2 / 4` and its gradient with respect to the weights.
/// Its gradient with respect to g is `c (|g|^2 - 1) g`. With `with_loss`, a loss `sum of r D(x)`
/// is added.
fn penalty(network: &Sequential, params: &Params, x: &Tensor, with_loss: bool) -> (f64, Vec<f32>) {
    let prepared = network.prepare(&SHAPE, &[1]).unwrap();
    let pass = prepared.forward(&Batch::new(x).unwrap(), Draws::default()).unwrap();
    let results: Vec<f32> = (0..x.dims()[0]).map(|i| i as f32 - 1.5).collect();
    let logits = pass.logits().unwrap().to_vec1::<f32>().unwrap();
    let slope = pass.slope().unwrap();
    let squares = slope.gradient().squares().unwrap();
    let factors: Vec<f32> = squares.iter().map(|s| (0.7 * (s - 1.)) as f32).collect();
    let direction = slope.gradient().combine(&factors, None).unwrap();
    let mut sums = Gradients::new(params);
    let of_results = Batch::new(&Tensor::new(&results[..], &Device::Cpu).unwrap()).unwrap();
    slope.backward(&direction, with_loss.then_some(&of_results), &mut sums).unwrap();
    let value = squares.iter().map(|s| 0.7 * (s - 1.).powi(2) / 4.).sum::<f64>();
    let loss = logits.iter().zip(&results).map(|(d, r)| f64::from(d * r)).sum::<f64>();
    (value + if with_loss { loss } else { 0. }, flat(&sums, params))
}

#[test]
fn gradients_of_a_penalty_are_those_of_finite_differences() {
    for layers in [mlp(), dropout(), convolutions()] {
        let (network, params) = network(&layers);
        // The weights are larger than fresh ones, because the penalty would be too small
        // otherwise.
        for (_, var) in params.trained() {
            var.set(&(var.as_detached_tensor() * 3.).unwrap()).unwrap();
        }
        let x = normal("x", &[3, 2, 9, 9]);
        for with_loss in [false, true] {
            let (_, found) = penalty(&network, &params, &x, with_loss);
            let scale = f64::from(found.iter().fold(0f32, |m, v| m.max(v.abs())));
            let (mut at, mut checked, mut apart) = (0, 0, vec![]);
            for (name, var) in params.trained() {
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
            // The penalty jumps where an activation changes sides between the two points. This
            // happens seldom, but it happens.
            assert!(checked > 25 && apart.len() * 8 < checked, "of {checked}: {apart:?}");
        }
    }
}

#[test]
fn layers_and_tape_agree() {
    for layers in [mlp(), dropout(), convolutions()] {
        let (network, params) = network(&layers);
        let x = normal("x", &[5, 2, 9, 9]);
        let v = normal("v", &[5, 2, 9, 9]);
        let prepared = network.prepare(&SHAPE, &[1]).unwrap();
        let slope = prepared.forward(&Batch::new(&x).unwrap(), Draws::default()).unwrap().slope().unwrap();
        let input = Var::from_tensor(&x).unwrap();
        let sum = network.forward(&input, Mode::Train(Draws::default())).unwrap().sum_all().unwrap();
        let on_tape = sum.backward().unwrap().get(&input).unwrap().flatten_all().unwrap();
        let gradient = slope.gradient().to_tensor().unwrap().flatten_all().unwrap();
        close(&gradient.to_vec1().unwrap(), &on_tape.to_vec1().unwrap(), 1e-5);
        let mut sums = Gradients::new(&params);
        slope.backward(&Batch::new(&v).unwrap(), None, &mut sums).unwrap();
        let (_, moved) = network.chain.directional(&x, &v, Draws::default()).unwrap();
        let grads = moved.sum_all().unwrap().backward().unwrap();
        let expected: Vec<Vec<f32>> = params
            .trained()
            .map(|(_, var)| match grads.get(var) {
                Some(gradient) => gradient.flatten_all().unwrap().to_vec1().unwrap(),
                None => vec![0.; var.elem_count()],
            })
            .collect();
        close(&flat(&sums, &params), &expected.concat(), 1e-5);
    }
}

#[test]
fn layers_without_a_second_order_are_refused_by_name() {
    let linear = |inputs, outputs| Layer::Linear { inputs, outputs };
    let flat = |layer: Layer| vec![Layer::Flatten, linear(162, 3), layer, linear(3, 1)];
    let std = vec![Layer::Flatten, Layer::MinibatchStd { group: 3 }, linear(163, 1)];
    let norm = vec![Layer::BatchNorm2d { channels: 2 }, Layer::Flatten, linear(162, 1)];
    let block = Layer::Residual { body: norm[..1].to_vec(), shortcut: vec![] };
    let in_block = vec![block, Layer::Flatten, linear(162, 1)];
    for (layers, couples, part) in [
        (flat(Layer::Tanh), false, "Tanh has no second order"),
        (flat(Layer::PixelNorm), false, "PixelNorm has no second order"),
        (std, true, "MinibatchStd(3) couples the samples"),
        (norm, true, "BatchNorm2d(2) couples the samples"),
        (in_block, true, "BatchNorm2d(2) couples the samples"),
    ] {
        let (network, _) = network(&layers);
        assert_eq!(network.couples_samples(), couples);
        let prepared = network.prepare(&SHAPE, &[1]).unwrap();
        let x = Batch::new(&normal("x", &[3, 2, 9, 9])).unwrap();
        let problem = prepared.forward(&x, Draws::default()).unwrap().slope().unwrap_err().to_string();
        assert!(problem.contains(part), "{problem}");
        // With RUST_BACKTRACE, candle appends a backtrace.
        assert!(network.refuses_penalties().is_some_and(|reason| problem.starts_with(reason)));
    }
    assert_eq!(network(&mlp()).0.refuses_penalties(), None);
}
