//! Times each op beside its version in plain candle operations, at the shapes of GANs for 28x28
//! images. Run `cargo bench -p gan-ops`, or `cargo bench -p gan-ops -- conv` for some of them.
#![expect(clippy::unwrap_used, reason = "a benchmark's panic is its failure")]

use candle_core::{Device, Result, Shape, Tensor, Var};
use divan::{Bencher, black_box};
use gan_ops::fused::BatchNorm;
use gan_ops::rng::Stream;
use gan_ops::{Activation, AdamHyper, Gradient, reference};

#[expect(unsafe_code, reason = "candle reads its thread counts from the environment")]
fn main() {
    // SAFETY: this is the first statement of the program, so there is no other thread yet.
    unsafe { gan_ops::threads::settle(None) };
    divan::main();
}

/// The implementation that runs.
#[derive(Debug, Clone, Copy)]
enum By {
    Fused,
    Reference,
}

const BOTH: [By; 2] = [By::Fused, By::Reference];

impl By {
    fn choose<T>(self, fused: T, reference: T) -> T {
        match self {
            Self::Fused => fused,
            Self::Reference => reference,
        }
    }
}

type Linear = fn(&Tensor, &Tensor, Option<&Tensor>, Activation) -> Result<Tensor>;
type Convolution = fn(&Tensor, &Tensor, Option<&Tensor>, usize, usize, Activation) -> Result<Tensor>;
type BatchNormFn = fn(&Tensor, &BatchNorm, Activation) -> Result<Tensor>;
type Loss = fn(&Tensor, f64) -> Result<Tensor>;

const BATCH: usize = 64;
const LEAKY: Activation = Activation::LeakyRelu(0.2);

fn variable(shape: impl Into<Shape>) -> Var {
    Var::from_tensor(&Stream::new(0, "bench", 0).normal(shape, &Device::Cpu).unwrap()).unwrap()
}

/// Times the forward pass alone. The arguments are constants, so no tape is kept.
fn forward(bencher: Bencher<'_, '_>, arguments: &[Var], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let arguments: Vec<_> = arguments.iter().map(Var::as_detached_tensor).collect();
    bencher.bench_local(|| op(black_box(&arguments)).unwrap());
}

/// Times the forward and the backward pass.
fn forward_backward(bencher: Bencher<'_, '_>, arguments: &[Var], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let arguments: Vec<_> = arguments.iter().map(|v| v.as_tensor().clone()).collect();
    bencher.bench_local(|| op(black_box(&arguments)).unwrap().backward().unwrap());
}

#[divan::bench(args = BOTH)]
fn linear_forward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::linear as Linear, reference::linear);
    let arguments = [variable((BATCH, 784)), variable((512, 784)), variable(512)];
    forward(bencher, &arguments, |t| op(&t[0], &t[1], Some(&t[2]), LEAKY));
}

#[divan::bench(args = BOTH)]
fn linear_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::linear as Linear, reference::linear);
    let arguments = [variable((BATCH, 784)), variable((512, 784)), variable(512)];
    forward_backward(bencher, &arguments, |t| op(&t[0], &t[1], Some(&t[2]), LEAKY));
}

#[divan::bench(args = BOTH)]
fn conv2d_forward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::conv2d as Convolution, reference::conv2d);
    let arguments = [variable((BATCH, 64, 14, 14)), variable((128, 64, 4, 4))];
    forward(bencher, &arguments, |t| op(&t[0], &t[1], None, 2, 1, LEAKY));
}

#[divan::bench(args = BOTH)]
fn conv2d_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::conv2d as Convolution, reference::conv2d);
    let arguments = [variable((BATCH, 64, 14, 14)), variable((128, 64, 4, 4))];
    forward_backward(bencher, &arguments, |t| op(&t[0], &t[1], None, 2, 1, LEAKY));
}

#[divan::bench(args = BOTH)]
fn conv_transpose2d_forward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::conv_transpose2d as Convolution, reference::conv_transpose2d);
    let arguments = [variable((BATCH, 256, 7, 7)), variable((256, 128, 4, 4))];
    forward(bencher, &arguments, |t| op(&t[0], &t[1], None, 2, 1, Activation::Relu));
}

#[divan::bench(args = BOTH)]
fn conv_transpose2d_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::conv_transpose2d as Convolution, reference::conv_transpose2d);
    let arguments = [variable((BATCH, 256, 7, 7)), variable((256, 128, 4, 4))];
    forward_backward(bencher, &arguments, |t| op(&t[0], &t[1], None, 2, 1, Activation::Relu));
}

/// Returns the arguments of a batch norm, and a function that makes the batch norm. This function
/// takes its weight and bias from the second and the third argument.
fn norm() -> ([Var; 3], impl Fn(&[Tensor]) -> BatchNorm) {
    let running = [(); 2].map(|()| variable(128).into_inner());
    let norm = move |t: &[Tensor]| {
        let [running_mean, running_var] = running.clone();
        BatchNorm {
            weight: t[1].clone(),
            bias: t[2].clone(),
            running_mean,
            running_var,
            eps: 1e-5,
            momentum: 0.1,
            ranks: None,
        }
    };
    ([variable((BATCH, 128, 14, 14)), variable(128), variable(128)], norm)
}

#[divan::bench(args = BOTH)]
fn batch_norm_train_forward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::batch_norm_train as BatchNormFn, reference::batch_norm_train);
    let (arguments, norm) = norm();
    forward(bencher, &arguments, |t| op(&t[0], &norm(t), LEAKY));
}

#[divan::bench(args = BOTH)]
fn batch_norm_train_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::batch_norm_train as BatchNormFn, reference::batch_norm_train);
    let (arguments, norm) = norm();
    forward_backward(bencher, &arguments, |t| op(&t[0], &norm(t), LEAKY));
}

#[divan::bench(args = BOTH)]
fn tanh_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::tanh as fn(&Tensor) -> Result<Tensor>, reference::tanh);
    forward_backward(bencher, &[variable((BATCH, 784))], |t| op(&t[0]));
}

#[divan::bench(args = BOTH)]
fn bce_with_logits_forward_backward(bencher: Bencher<'_, '_>, by: By) {
    let op = by.choose(gan_ops::bce_with_logits as Loss, reference::bce_with_logits);
    forward_backward(bencher, &[variable((BATCH, 1))], |t| op(&t[0], 1.));
}

#[divan::bench(args = BOTH)]
fn adam_step(bencher: Bencher<'_, '_>, by: By) {
    let hyper = AdamHyper { lr: 1e-4, betas: (0.5, 0.999), eps: 1e-8 };
    let [param, gradient, first] = [(); 3].map(|()| variable(400_000));
    let second = Var::from_tensor(&first.sqr().unwrap()).unwrap();
    let step = || match by {
        By::Fused => {
            gan_ops::adam_step(&param, Gradient::Tensor(&gradient), [&first, &second], &hyper, 1).unwrap();
        }
        By::Reference => {
            let after = reference::adam_step(&param, &gradient, &first, &second, &hyper, 1).unwrap();
            [&param, &first, &second].into_iter().zip(&after).for_each(|(var, t)| var.set(t).unwrap());
        }
    };
    bencher.bench_local(step);
}

/// The noise of one step.
#[divan::bench]
fn stream_normal() -> Tensor {
    Stream::new(0, "noise", black_box(1)).normal((BATCH, 100), &Device::Cpu).unwrap()
}
