//! Arguments that do not fit are errors and never panics, both with the kernels and without.

use candle_core::{DType, Device, Result, Tensor, Var};
use gan_ops::fused::{BatchNorm, FusedLayer, Maps, Product};
use gan_ops::{Activation, AdamHyper, Gradient, reference};

type Linear = fn(&Tensor, &Tensor, Option<&Tensor>, Activation) -> Result<Tensor>;
type Convolution = fn(&Tensor, &Tensor, Option<&Tensor>, usize, usize, Activation) -> Result<Tensor>;
type BatchNormFn = fn(&Tensor, &BatchNorm, Activation) -> Result<Tensor>;

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap()
}

fn variable(dims: &[usize]) -> Tensor {
    Var::from_tensor(&zeros(dims)).unwrap().into_inner()
}

#[test]
fn linear() {
    for op in [gan_ops::linear as Linear, reference::linear] {
        let run = |x: &[usize], weight: &[usize], bias: Option<&[usize]>| {
            op(&zeros(x), &zeros(weight), bias.map(zeros).as_ref(), Activation::Relu)
        };
        assert!(run(&[5, 3], &[4, 3], Some(&[4])).is_ok());
        for (x, weight, bias) in [
            (&[5, 3][..], &[4, 2][..], None),
            (&[5, 3], &[3, 4], None),
            (&[3], &[4, 3], None),
            (&[2, 5, 3], &[4, 3], None),
            (&[5, 3], &[3], None),
            (&[5, 3], &[4, 3, 1, 1], None),
            (&[5, 3], &[4, 3], Some(&[3][..])),
            (&[5, 3], &[4, 3], Some(&[2, 4])),
            (&[5, 3], &[4, 3], Some(&[1])),
            (&[5, 3], &[1, 3], Some(&[3])),
            (&[5, 3], &[4, 3], Some(&[1, 4])),
            (&[0, 3], &[4, 3], Some(&[4])),
            (&[2, 5, 3], &[2, 4, 3], None),
        ] {
            assert!(run(x, weight, bias).is_err(), "{x:?}, {weight:?}, {bias:?}");
        }
        let double = |t: Tensor| t.to_dtype(DType::F64).unwrap();
        let (x, weight, bias) = (zeros(&[5, 3]), zeros(&[4, 3]), zeros(&[4]));
        assert!(op(&x, &double(weight.clone()), None, Activation::Relu).is_err());
        assert!(op(&x, &weight, Some(&double(bias)), Activation::Relu).is_err());
    }
}

#[test]
fn convolutions() {
    let image = &[2, 3, 5, 7][..];
    for (op, outputs_first) in [
        (gan_ops::conv2d as Convolution, true),
        (reference::conv2d, true),
        (gan_ops::conv_transpose2d, false),
        (reference::conv_transpose2d, false),
    ] {
        let run = |x: &[usize], weight: &[usize], bias: Option<&[usize]>, stride: usize, padding: usize| {
            let mut weight = weight.to_vec();
            if !outputs_first && weight.len() > 1 {
                weight.swap(0, 1);
            }
            op(&zeros(x), &zeros(&weight), bias.map(zeros).as_ref(), stride, padding, Activation::Relu)
        };
        assert!(run(image, &[4, 3, 2, 3], Some(&[4]), 2, 1).is_ok());
        let mut misfits = vec![
            (image, &[4, 3, 3, 3][..], None, 0, 1),
            (image, &[4, 5, 3, 3], None, 1, 1),
            (image, &[3, 4, 3, 3], None, 1, 1),
            (image, &[4, 3, 3, 3], Some(&[3][..]), 1, 1),
            (image, &[4, 3, 3, 3], Some(&[5]), 1, 1),
            (&[3, 5, 7], &[4, 3, 3, 3], None, 1, 1),
            (&[2, 3], &[4, 3, 3, 3], None, 1, 1),
            (image, &[4, 3], None, 1, 1),
            (image, &[4, 3, 3], None, 1, 1),
            (&[2, 3, 0, 7], &[4, 3, 3, 3], None, 1, 0),
            (&[0, 3, 5, 7], &[4, 3, 3, 3], None, 1, 1),
            (image, &[4, 3, 3, 3], Some(&[1]), 1, 1),
            (image, &[1, 3, 3, 3], Some(&[3]), 1, 1),
            (image, &[4, 3, 0, 0], None, 1, 1),
            (image, &[4, 3, 3, 3], None, 1, usize::MAX),
        ];
        if outputs_first {
            // These kernels are larger than the padded image.
            misfits.extend([(image, &[4, 3, 8, 8][..], None, 1, 1), (image, &[4, 3, 1, 10], None, 1, 1)]);
        } else {
            // Nothing is left of the first image, and no rows are left of the second.
            misfits.extend([(image, &[4, 3, 3, 3][..], None, 1, 5), (image, &[4, 3, 2, 2], None, 1, 3)]);
        }
        for (x, weight, bias, stride, padding) in misfits {
            let result = run(x, weight, bias, stride, padding);
            assert!(result.is_err(), "{x:?}, {weight:?}, {bias:?}, stride {stride}, padding {padding}");
        }
    }
}

#[test]
fn batch_norm() {
    for (op, training) in [
        (gan_ops::batch_norm_train as BatchNormFn, true),
        (reference::batch_norm_train, true),
        (gan_ops::batch_norm_eval, false),
        (reference::batch_norm_eval, false),
    ] {
        let run = |x: &[usize], [weight, bias, mean, var]: [usize; 4]| {
            let [weight, bias, running_mean, running_var] = [weight, bias, mean, var].map(|c| variable(&[c]));
            let norm =
                BatchNorm { weight, bias, running_mean, running_var, eps: 1e-5, momentum: 0.1, ranks: None };
            op(&zeros(x), &norm, Activation::Relu)
        };
        for x in [&[5, 3][..], &[5, 3, 2], &[5, 3, 2, 2]] {
            assert!(run(x, [3; 4]).is_ok(), "{x:?}");
        }
        for (x, channels) in [
            (&[][..], [1; 4]),
            (&[3], [3; 4]),
            (&[5, 3], [4; 4]),
            (&[5, 3], [1; 4]),
            (&[5, 1], [4; 4]),
            (&[5, 3, 2, 2], [2; 4]),
            (&[5, 3], [1, 3, 3, 3]),
            (&[5, 3], [3, 1, 3, 3]),
            (&[5, 3], [3, 3, 1, 3]),
            (&[5, 3], [3, 3, 3, 4]),
        ] {
            assert!(run(x, channels).is_err(), "{x:?}, {channels:?}");
        }
        // A single value has no variance, and no values have no mean.
        for x in [&[1, 3][..], &[1, 3, 1], &[1, 3, 1, 1], &[0, 3], &[5, 3, 0, 2]] {
            assert_eq!(run(x, [3; 4]).is_err(), training, "{x:?}");
        }
    }
}

#[test]
fn adam() {
    let hyper = AdamHyper { lr: 0.1, betas: (0.5, 0.9), eps: 1e-8 };
    let run = |gradient: Gradient<'_>, first: &[usize], second: &[usize]| {
        let [param, first, second] =
            [&[2, 3], first, second].map(|dims| Var::from_tensor(&zeros(dims)).unwrap());
        gan_ops::adam_step(&param, gradient, [&first, &second], &hyper, 1)
    };
    let gradient = zeros(&[2, 3]);
    assert!(run(Gradient::Tensor(&gradient), &[2, 3], &[2, 3]).is_ok());
    assert!(run(Gradient::Slice(&[0.; 6]), &[2, 3], &[2, 3]).is_ok());
    assert!(run(Gradient::Slice(&[0.; 5]), &[2, 3], &[2, 3]).is_err());
    assert!(run(Gradient::Tensor(&zeros(&[5])), &[2, 3], &[2, 3]).is_err());
    assert!(run(Gradient::Tensor(&gradient), &[2, 4], &[2, 3]).is_err());
    assert!(run(Gradient::Tensor(&gradient), &[2, 3], &[1]).is_err());
    assert!(run(Gradient::Tensor(&zeros(&[3, 2])), &[2, 3], &[2, 3]).is_err());
    assert!(run(Gradient::Tensor(&gradient), &[3, 2], &[2, 3]).is_err());
    let double = gradient.to_dtype(DType::F64).unwrap();
    assert!(run(Gradient::Tensor(&double), &[2, 3], &[2, 3]).is_err());
}

/// This must not be a deadlock: the kernel writes in place the values that it would still be
/// reading.
#[test]
fn adam_with_the_same_tensor_twice() {
    let hyper = AdamHyper { lr: 0.1, betas: (0.5, 0.9), eps: 1e-8 };
    let [param, first, second] = [0; 3].map(|_| Var::from_tensor(&zeros(&[2, 3])).unwrap());
    let run = |gradient: &Tensor, moments: [&Var; 2]| {
        gan_ops::adam_step(&param, Gradient::Tensor(gradient), moments, &hyper, 1)
    };
    let gradient = zeros(&[2, 3]);
    assert!(run(&gradient, [&first, &second]).is_ok());
    if gan_ops::fused::serves(&Device::Cpu, DType::F32) {
        assert!(run(&param, [&first, &second]).is_err());
        assert!(run(&first.as_detached_tensor(), [&first, &second]).is_err());
    }
    assert!(run(&gradient, [&first, &first]).is_err());
    assert!(run(&gradient, [&param, &second]).is_err());
}

#[test]
fn ema() {
    let average = Var::from_tensor(&zeros(&[2, 3])).unwrap();
    let run = |now: &Tensor| gan_ops::ema_step(&average, now, 0.9);
    assert!(run(&zeros(&[2, 3])).is_ok());
    assert!(run(&zeros(&[3, 2])).is_err());
    assert!(run(&zeros(&[2, 3]).to_dtype(DType::F64).unwrap()).is_err());
    if gan_ops::fused::serves(&Device::Cpu, DType::F32) {
        assert!(run(&average.as_detached_tensor()).is_err());
    }
}

#[test]
fn a_layer_whose_parts_do_not_fit() {
    let x = Maps::from_tensor(&zeros(&[2, 3, 4, 4])).unwrap();
    let conv = Product::Conv2d { stride: 1, padding: [1, 1] };
    let norm = |channels: usize| {
        let [weight, bias, running_mean, running_var] = [(); 4].map(|()| variable(&[channels]));
        BatchNorm { weight, bias, running_mean, running_var, eps: 1e-5, momentum: 0.1, ranks: None }
    };
    let layer = |bias: usize, channels: usize, activation| FusedLayer {
        product: Some((conv, zeros(&[4, 3, 3, 3]), Some(zeros(&[bias])))),
        norm: Some(norm(channels)),
        activation,
    };
    let run = |layer: &FusedLayer| {
        let prepared = layer.prepare();
        [prepared.forward(&x).is_ok(), prepared.evaluate(&x).is_ok()]
    };
    assert_eq!(run(&layer(4, 4, Activation::Relu)), [true; 2]);
    for (bias, channels) in [(3, 4), (5, 4), (4, 3), (4, 5)] {
        assert_eq!(run(&layer(bias, channels, Activation::Relu)), [false; 2], "{bias} {channels}");
    }
    assert_eq!(run(&layer(4, 4, Activation::LeakyRelu(-0.5))), [false; 2]);
    assert!(layer(4, 4, Activation::Relu).output([3, 0, 4]).is_err());
    let up = Product::ConvTranspose2d { stride: 2, padding: 1 };
    let up = FusedLayer {
        product: Some((up, zeros(&[3, 4, 4, 4]), None)),
        norm: None,
        activation: Activation::Tanh,
    };
    assert!(up.output([3, 0, 2]).is_err() && up.prepare().gradient([3, 0, 2]).is_err());
    assert!(x.reshape([usize::MAX, 2, 1]).is_err());
    // The number of elements of these outputs overflows.
    let (image, weight) = (zeros(&[1, 1, 2, 2]), zeros(&[1, 1, 1, 1]));
    let wide = gan_ops::conv_transpose2d(&image, &weight, None, (1 << 30) - 1, 0, Activation::Identity);
    assert!(wide.is_err());
    assert!(gan_ops::conv2d(&image, &weight, None, 1, (1 << 29) - 1, Activation::Identity).is_err());
}
