//! Tests every kind of layer in the same ways. A kind without an example here fails the first
//! test.

use super::*;
use crate::stage::{Stage, Wanted};
use crate::{Batch, Draws, Gradients, Mode, Params, Sequential};
use candle_core::{DType, Device, Tensor, Var};
use gan_ops::rng::Stream;
use std::collections::BTreeSet;
use std::path::Path;

const SAMPLES: usize = 6;
const DRAWS: Draws = Draws { seed: 5, purpose: "test", update: 2, first: 0 };

fn conv(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride, padding: 1, bias: true, deviation: 0.3 }
}

/// The examples, and the shape of one sample that each takes.
fn examples() -> Vec<(Layer, Vec<usize>)> {
    let image = || vec![4, 6, 6];
    let linear = Layer::Linear { inputs: 7, outputs: 5 };
    vec![
        (linear.clone(), vec![7]),
        (Layer::Conv2d(conv(4, 5, 4, 2)), image()),
        (Layer::ConvTranspose2d(conv(4, 5, 4, 2)), image()),
        (Layer::BatchNorm2d { channels: 4 }, image()),
        (Layer::Relu, image()),
        (Layer::LeakyRelu(0.2), vec![7]),
        (Layer::Tanh, image()),
        (Layer::Flatten, image()),
        (Layer::Upsample, image()),
        (Layer::AvgPool2d, image()),
        (Layer::MinibatchStd { group: 3 }, image()),
        (Layer::PixelNorm, image()),
        (Layer::Dropout { p: 0.3 }, image()),
        (Layer::SpectralNorm(Box::new(Layer::Conv2d(conv(4, 5, 3, 1)))), image()),
        (Layer::SpectralNorm(Box::new(linear)), vec![7]),
        (
            Layer::Residual {
                body: vec![Layer::LeakyRelu(0.2), Layer::Conv2d(conv(4, 5, 3, 1)), Layer::AvgPool2d],
                shortcut: vec![
                    Layer::AvgPool2d,
                    Layer::Conv2d(Convolution { padding: 0, ..conv(4, 5, 1, 1) }),
                ],
            },
            image(),
        ),
    ]
}

/// The example between layers with weights, so that its gradients have somewhere to come from and
/// to go to. The network has one result for each sample.
struct Example {
    layer: Layer,
    /// All layers of the network.
    layers: Vec<Layer>,
    network: Sequential,
    params: Params,
    /// Shape of one sample.
    input: Vec<usize>,
}

impl Example {
    fn new(layer: Layer, input: Vec<usize>) -> Self {
        let before = match *input {
            [features] => Layer::Linear { inputs: features, outputs: features },
            [channels, ..] => Layer::Conv2d(conv(channels, channels, 3, 1)),
            [] => unreachable!("a sample has a dimension"),
        };
        let output = layer.output_shape(&input).unwrap();
        let last = Layer::Linear { inputs: output.iter().product(), outputs: 1 };
        let layers = vec![before, layer.clone(), Layer::Flatten, last];
        let (network, params) = Sequential::seeded(&layers, 3, "test", &Device::Cpu).unwrap();
        Self { layer, layers, network, params, input }
    }

    fn x(&self) -> Tensor {
        normal("x", &[&[SAMPLES], &self.input[..]].concat())
    }

    /// The gradients of all weights, one after the other.
    fn flat(&self, fill: impl FnOnce(&mut Gradients)) -> Vec<f32> {
        let mut sums = Gradients::new(&self.params);
        fill(&mut sums);
        let mut all = vec![0.; self.params.count()];
        sums.read_flat(&mut all).unwrap();
        all
    }
}

fn all() -> impl Iterator<Item = Example> {
    examples().into_iter().map(|(layer, input)| Example::new(layer, input))
}

fn normal(name: &str, shape: &[usize]) -> Tensor {
    Stream::new(1, name, 0).normal(shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &Layer, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
    assert!(largest > 0. && apart <= 2e-5 * largest, "{what}: {apart} of {largest}");
}

#[test]
fn every_file_is_a_kind_with_an_example() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/layers");
    let files = std::fs::read_dir(directory).unwrap().map(|file| {
        let path = file.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    let files: BTreeSet<_> = files.filter(|name| name != "mod" && name != "tests").collect();
    let kinds: BTreeSet<_> = examples().iter().map(|(layer, _)| file_of(layer)).collect();
    assert_eq!(files, kinds);
}

/// The variant's name in snake case: `conv_transpose2d` for `ConvTranspose2d(..)`.
fn file_of(layer: &Layer) -> String {
    let variant = format!("{layer:?}");
    let variant = variant.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

#[test]
fn the_output_has_the_stated_shape() {
    for (layer, input) in examples() {
        let (network, _) = Sequential::seeded(std::slice::from_ref(&layer), 3, "test", &Device::Cpu).unwrap();
        let x = normal("x", &[&[SAMPLES], &input[..]].concat());
        let y = network.forward(&x, Mode::Train(DRAWS)).unwrap();
        assert_eq!(y.dims()[1..], layer.output_shape(&input).unwrap(), "{layer}");
    }
}

#[test]
fn a_pass_equals_the_tape() {
    for example in all() {
        let Example { layer, network, params, input, .. } = &example;
        let x = Var::from_tensor(&example.x()).unwrap();
        let y = network.forward(&x, Mode::Train(DRAWS)).unwrap();
        let gradient = normal("gradient", y.dims());
        let grads = (&y * &gradient).unwrap().sum_all().unwrap().backward().unwrap();

        let batch = Batch::new(&x).unwrap();
        let prepared = network.prepare(input, &[1]).unwrap();
        let pass = prepared.forward(&batch, DRAWS).unwrap();
        close(layer, &values(&pass.output().to_tensor().unwrap()), &values(&y));
        let mut below = None;
        let found = example.flat(|sums| {
            let gradient = Batch::new(&gradient).unwrap();
            below = pass.backward(&gradient, Some(sums), Wanted::Input).unwrap();
        });
        close(layer, &values(&below.unwrap().to_tensor().unwrap()), &values(grads.get(&x).unwrap()));
        for ((_, var), entry) in params.trained().zip(params.layout().iter()) {
            close(layer, &found[entry.range()], &values(grads.get(var).unwrap()));
        }
        let evaluated = prepared.evaluate(&batch).unwrap().to_tensor().unwrap();
        close(layer, &values(&evaluated), &values(&network.forward(&x, Mode::Eval).unwrap()));
    }
}

#[test]
fn a_second_order_is_exact_or_refused_by_name() {
    for example in all() {
        let Example { layer, network, params, input, .. } = &example;
        let x = example.x();
        let prepared = network.prepare(input, &[1]).unwrap();
        let slope = prepared.forward(&Batch::new(&x).unwrap(), DRAWS).unwrap().slope();
        if let Some(reason) = layer.refuses_penalties() {
            let problem = slope.unwrap_err().to_string();
            assert!(
                problem.starts_with(&reason) && reason.contains(&layer.to_string()),
                "{layer}: {problem}"
            );
            continue;
        }
        let slope = slope.unwrap();
        let var = Var::from_tensor(&x).unwrap();
        let sum = network.forward(&var, Mode::Train(DRAWS)).unwrap().sum_all().unwrap();
        let grads = sum.backward().unwrap();
        let gradient = slope.gradient().to_tensor().unwrap();
        close(layer, &values(&gradient), &values(grads.get(&var).unwrap()));

        // The dot product of a direction and the gradient is the derivative of the results in this
        // direction, so the tape can differentiate it.
        let direction = normal("direction", x.dims());
        let (_, moved) = network.chain.directional(&x, &direction, DRAWS).unwrap();
        let grads = moved.sum_all().unwrap().backward().unwrap();
        let found = example.flat(|sums| {
            slope.backward(&Batch::new(&direction).unwrap(), None, sums).unwrap();
        });
        let expected: Vec<_> = params
            .trained()
            .flat_map(|(_, var)| grads.get(var).map_or_else(|| vec![0.; var.elem_count()], values))
            .collect();
        close(layer, &found, &expected);

        // The derivative is that of the results: central differences, which the kinks of
        // activations disturb at single elements only.
        let result = |by: f64| {
            let x = (&x + direction.affine(by, 0.).unwrap()).unwrap();
            f64::from(
                network.forward(&x, Mode::Train(DRAWS)).unwrap().sum_all().unwrap().to_vec0::<f32>().unwrap(),
            )
        };
        let expected = (result(1e-3) - result(-1e-3)) / 2e-3;
        let moved = f64::from(moved.sum_all().unwrap().to_vec0::<f32>().unwrap());
        assert!((moved - expected).abs() <= 2e-2 * expected.abs().max(0.1), "{layer}: {moved} {expected}");
    }
}

#[test]
fn samples_depend_on_each_other_if_the_layer_says_so() {
    for example in all() {
        let x = example.x();
        let first = |x: &Tensor| {
            let y = example.network.forward(x, Mode::Train(DRAWS)).unwrap();
            y.narrow(0, 0, 1).unwrap().to_vec2::<f32>().unwrap()
        };
        let [kept, others] =
            [(0, 1), (1, SAMPLES - 1)].map(|(start, count)| x.narrow(0, start, count).unwrap());
        let changed = Tensor::cat(&[&kept, &(others * 2.).unwrap()], 0).unwrap();
        assert_eq!(first(&x) != first(&changed), example.layer.couples_samples(), "{}", example.layer);
    }
}

#[test]
fn weights_keep_their_names_in_a_state_dict() {
    for (layer, input) in examples() {
        let layers = [layer];
        let (network, params) = Sequential::seeded(&layers, 3, "test", &Device::Cpu).unwrap();
        let state = params.state_dict();
        let names: Vec<_> = state.iter().map(|(name, _)| name.as_str()).collect();
        let parameters = Sequential::parameters("model", &layers);
        assert_eq!(names, parameters.iter().map(Parameter::name).collect::<Vec<_>>());
        let tensors = state.iter().cloned().collect();
        let (again, _) = Sequential::from_tensors(&layers, tensors, &Device::Cpu).unwrap();
        let x = normal("x", &[&[SAMPLES], &input[..]].concat());
        let [y, expected] = [again, network].map(|network| values(&network.forward(&x, Mode::Eval).unwrap()));
        assert_eq!(y, expected, "{}", layers[0]);
    }
}

#[test]
fn elements_are_those_of_every_output() {
    assert_eq!(Layer::Linear { inputs: 2, outputs: 5 }.elements(&[2]), 5);
    assert_eq!(Layer::Linear { inputs: 2, outputs: 5 }.elements(&[3]), 0);
    let block = Layer::Residual { body: vec![Layer::Relu, Layer::Tanh], shortcut: vec![Layer::PixelNorm] };
    assert_eq!(block.elements(&[3, 4, 4]), 4 * 48);
}

#[test]
fn gradients_of_the_tape_are_one_tensor_and_may_be_replaced() {
    let example = all().next().unwrap();
    let x = example.x();
    let loss = example.network.forward(&x, Mode::Eval).unwrap().sum_all().unwrap();
    let mut sums = Gradients::new(&example.params);
    assert!(sums.to_tensor().unwrap().is_none(), "no gradients yet");
    sums.add(&loss.backward().unwrap()).unwrap();
    let flat = sums.to_tensor().unwrap().unwrap();
    let read = |sums: &Gradients| {
        let mut all = vec![0.; example.params.count()];
        sums.read_flat(&mut all).unwrap();
        all
    };
    let before = read(&sums);
    assert!(sums.set_tensor(&flat.narrow(0, 1, flat.elem_count() - 1).unwrap()).is_err());
    assert_eq!(read(&sums), before);
    sums.set_tensor(&(&flat * 2.).unwrap()).unwrap();
    let doubled: Vec<f32> = before.iter().map(|value| value * 2.).collect();
    assert_eq!(read(&sums), doubled);
    sums.clear();
    assert!(sums.to_tensor().unwrap().is_none());
}

/// What a card computes in half precision. The CPU has no products in bf16.
#[test]
fn layers_in_half_precision_are_near_to_those_in_f32() {
    for example in all() {
        let (layers, x) = (&example.layers, example.x());
        let params = example.params.in_dtype(DType::F16).unwrap();
        let network = Sequential::with_params(layers, &params).unwrap();
        for mode in [Mode::Eval, Mode::Train(Draws::default())] {
            let expected = values(&example.network.forward(&x, mode).unwrap());
            let found = network.forward(&x.to_dtype(DType::F16).unwrap(), mode);
            let found = values(&found.unwrap().to_dtype(DType::F32).unwrap());
            let largest = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            assert!(apart <= 0.05 * largest.max(0.1), "{}: {apart} of {largest}", example.layer);
        }
    }
}
