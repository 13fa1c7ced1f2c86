//! Compares every kernel with a safe, bounds-checked implementation: one multiplication at a time,
//! in double precision, at odd shapes, with every instruction set of this processor.

mod products;

use super::conv::{Weighted, down};
use super::finish::Finish;
use super::simd::Isa;
use super::{Buffer, adam, layout, norm, padded};
use crate::Activation;
use crate::geometry::{Geometry, Image};
use crate::rng::Stream;
use candle_core::Device;

fn image(channels: usize, height: usize, width: usize) -> Image {
    Image { channels, height, width }
}

fn random(len: usize, index: u64) -> Vec<f32> {
    Stream::new(0, "kernel-test", index).normal(len, &Device::Cpu).unwrap().to_vec1().unwrap()
}

fn close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().map(|e| e.abs()).fold(1e-30, f64::max);
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*f) - e).abs() <= 1e-5 * scale, "{what}: element {i} is {f}, not {e}");
    }
}

fn to_maps(isa: Isa, nchw: &[f32], batch: usize, image: Image) -> Buffer {
    let mut maps = Buffer::new(image.len(batch));
    maps.fill(f32::NAN);
    layout::from_nchw(isa, nchw, &mut maps, [batch, image.channels, image.pixels()]);
    maps
}

fn to_nchw(isa: Isa, maps: &[f32], batch: usize, image: Image) -> Vec<f32> {
    let mut nchw = vec![f32::NAN; batch * image.channels * image.pixels()];
    layout::to_nchw(isa, maps, &mut nchw, [batch, image.channels, image.pixels()]);
    nchw
}

fn derivative(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => 1.,
        Activation::Relu => f64::from(u8::from(x > 0.)),
        Activation::LeakyRelu(slope) => {
            if x > 0. {
                1.
            } else {
                slope
            }
        }
        Activation::Tanh => 1. - x.tanh().powi(2),
    }
}

fn value(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.),
        Activation::LeakyRelu(slope) => {
            if x > 0. {
                x
            } else {
                slope * x
            }
        }
        Activation::Tanh => x.tanh(),
    }
}

const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2), Activation::Tanh];

#[test]
fn what_follows_a_product_is_applied_per_channel() {
    let image = image(21, 2, 3);
    let g = Geometry { big: image, small: image, kernel: [1, 1], stride: 1, padding: [0; 2] };
    let mut identity = vec![0.; g.weights()];
    (0..21).for_each(|i| identity[i * 21 + i] = 1.);
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let batch = 19;
            let (x, scale, shift) = (random(batch * 21 * 6, 0), random(21, 1), random(21, 2));
            let maps = to_maps(isa, &x, batch, image);
            let mut y = Buffer::new(maps.len());
            let forward = Finish::Forward { scale: Some(&scale), shift: Some(&shift), activation };
            let product = Weighted { isa, geometry: &g, batch, weights: &identity };
            down(product, &maps, &mut y, forward);
            let channel = |i: usize| i / 6 % 21;
            let before =
                |i: usize| f64::from(x[i]) * f64::from(scale[channel(i)]) + f64::from(shift[channel(i)]);
            let expected: Vec<_> = (0..x.len()).map(|i| value(activation, before(i))).collect();
            close(&format!("{isa:?} {activation:?}"), &to_nchw(isa, &y, batch, image), &expected);

            let mut gradient = Buffer::new(maps.len());
            down(product, &maps, &mut gradient, Finish::Backward { output: &y, activation });
            let expected: Vec<_> =
                (0..x.len()).map(|i| f64::from(x[i]) * derivative(activation, before(i))).collect();
            close(
                &format!("gradient of {isa:?} {activation:?}"),
                &to_nchw(isa, &gradient, batch, image),
                &expected,
            );
        }
    }
}

#[test]
fn batch_norm_equals_the_definition_forward_and_backward() {
    for isa in Isa::available() {
        for (batch, image) in
            [(1, image(3, 5, 7)), (37, image(11, 2, 1)), (64, image(16, 3, 3)), (2, image(1, 1, 1))]
        {
            for activation in ACTIVATIONS {
                let what = format!("{isa:?} {batch} {image:?} {activation:?}");
                let (pixels, channels) = (image.pixels(), image.channels);
                let len = batch * channels * pixels;
                let x: Vec<_> = random(len, 0).into_iter().map(|v| 3. * v + 5.).collect();
                let (gradient, weight, bias) = (random(len, 1), random(channels, 2), random(channels, 3));
                let channel = |i: usize| i / pixels % channels;
                let values = (batch * pixels) as f64;
                let per_channel = |f: &dyn Fn(usize) -> f64| {
                    let mut sums = vec![0.; channels];
                    (0..len).for_each(|i| sums[channel(i)] += f(i));
                    sums
                };
                let mean: Vec<_> = per_channel(&|i| f64::from(x[i]) / values);
                let var = per_channel(&|i| (f64::from(x[i]) - mean[channel(i)]).powi(2) / values);
                let deviation: Vec<_> = var.iter().map(|v| (v + 1e-5).sqrt()).collect();
                let normal = |i: usize| (f64::from(x[i]) - mean[channel(i)]) / deviation[channel(i)];
                let before =
                    |i: usize| normal(i) * f64::from(weight[channel(i)]) + f64::from(bias[channel(i)]);
                let inner = |i: usize| f64::from(gradient[i]) * derivative(activation, before(i));
                let d_bias = per_channel(&inner);
                let d_weight = per_channel(&|i| inner(i) * normal(i));
                let d_x: Vec<_> = (0..len)
                    .map(|i| {
                        let c = channel(i);
                        let centred = inner(i) - d_bias[c] / values - normal(i) * d_weight[c] / values;
                        centred * f64::from(weight[c]) / deviation[c]
                    })
                    .collect();

                let mut maps = to_maps(isa, &x, batch, image);
                // The values beyond the batch must not affect the result.
                maps.chunks_exact_mut(padded(batch)).for_each(|row| row[batch..].fill(1e9));
                let norm =
                    norm::NormKernel { image, batch, weight: &weight, bias: &bias, eps: 1e-5, activation };
                let mut y = Buffer::new(maps.len());
                let statistics = norm.forward(isa, &maps, &mut y);
                close(&what, &statistics.mean, &mean);
                close(&what, &statistics.var, &var);
                let expected: Vec<_> = (0..len).map(|i| value(activation, before(i))).collect();
                close(&what, &to_nchw(isa, &y, batch, image), &expected);

                let mut maps_gradient = to_maps(isa, &gradient, batch, image);
                close(
                    &what,
                    &norm::channel_sums(isa, image, batch, &maps_gradient),
                    &per_channel(&|i| f64::from(gradient[i])),
                );
                let [w, b] = norm.backward(isa, &statistics, [&maps, &y], &mut maps_gradient);
                close(&what, &w, &d_weight);
                close(&what, &b, &d_bias);
                // Two values of one channel always normalise to +-1. So their gradient consists of
                // rounding errors only.
                if batch * pixels > 2 {
                    close(&what, &to_nchw(isa, &maps_gradient, batch, image), &d_x);
                }
                let beyond = |row: &[f32]| row[batch..].iter().all(|v| *v == 0.);
                assert!(maps_gradient.chunks_exact(padded(batch)).all(beyond), "{what}");
            }
        }
    }
}

#[test]
fn elementary_functions_are_exact_to_a_few_units_in_the_last_place() {
    struct Each<'a>(&'a mut [f32], Activation);
    impl super::simd::Kernel for Each<'_> {
        type Output = ();
        #[inline(always)]
        unsafe fn run<V: super::simd::Lanes>(self) {
            for sixteen in self.0.chunks_exact_mut(16) {
                let p = sixteen.as_mut_ptr();
                // SAFETY: the pointer is to sixteen floats.
                unsafe { super::math::activate(V::load(p), self.1).store(p) };
            }
        }
    }
    for isa in Isa::available() {
        let x: Vec<f32> = (0..1 << 16).map(|i| (i as f32 - 32768.) / 3000.).chain([1e-30; 16]).collect();
        let mut y = x.clone();
        // SAFETY: the kernel has no conditions beside the instructions.
        unsafe { super::simd::dispatch(isa, Each(&mut y, Activation::Tanh)) };
        for (x, y) in x.iter().zip(&y) {
            let exact = f64::from(*x).tanh();
            assert!(
                (f64::from(*y) - exact).abs() <= 3. * f64::from(f32::EPSILON) * exact.abs(),
                "{isa:?} tanh({x}) = {y}"
            );
        }
        let mut special = [0f32; 16];
        special[..5].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30]);
        // SAFETY: as above.
        unsafe { super::simd::dispatch(isa, Each(&mut special, Activation::Tanh)) };
        assert!(special[0].is_nan() && special[1..5] == [1., -1., 1., -1.], "{isa:?} {special:?}");
        for activation in [Activation::Relu, Activation::LeakyRelu(0.2)] {
            let mut special = [f32::NAN; 16];
            // SAFETY: as above.
            unsafe { super::simd::dispatch(isa, Each(&mut special, activation)) };
            assert!(special.iter().all(|v| v.is_nan()));
        }
    }
}

#[test]
fn adam_equals_the_definition() {
    let factors =
        adam::AdamFactors { betas: [0.5, 0.999], rests: [0.5, 0.001], correction: 3., rate: 0.1, eps: 1e-8 };
    for isa in Isa::available() {
        for len in [1, 15, 16, 40_000] {
            let (p, g, m) = (random(len, 0), random(len, 1), random(len, 2));
            let v: Vec<_> = random(len, 3).into_iter().map(f32::abs).collect();
            let (mut p1, mut m1, mut v1) = (p.clone(), m.clone(), v.clone());
            adam::adam(isa, &factors, &mut p1, &g, &mut m1, &mut v1);
            let double = |s: &[f32]| s.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
            let [p, g, m, v] = [p, g, m, v].map(|s| double(&s));
            let m: Vec<_> = m.iter().zip(&g).map(|(m, g)| 0.5 * m + 0.5 * g).collect();
            let v: Vec<_> = v.iter().zip(&g).map(|(v, g)| 0.999 * v + 0.001 * g * g).collect();
            let p: Vec<_> = (0..len).map(|i| p[i] - 0.1 * m[i] / (3. * v[i].sqrt() + 1e-8)).collect();
            close("p", &p1, &p);
            close("m", &m1, &m);
            close("v", &v1, &v);
        }
    }
}

#[test]
fn maps_and_back_is_the_identity() {
    for isa in Isa::available() {
        for (batch, image) in
            [(1, image(3, 5, 7)), (37, image(17, 4, 4)), (64, image(1, 28, 28)), (16, image(100, 1, 1))]
        {
            let x = random(batch * image.channels * image.pixels(), 0);
            let maps = to_maps(isa, &x, batch, image);
            assert!(to_nchw(isa, &maps, batch, image) == x);
            assert!(maps.chunks_exact(padded(batch)).all(|row| row[batch..].iter().all(|v| *v == 0.)));
        }
    }
}
