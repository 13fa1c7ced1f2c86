//! The products of convolutions, direct and by Winograd's filtering.

use super::{close, image, random, to_maps, to_nchw};
use crate::Activation;
use crate::geometry::{Geometry, Image};
use crate::kernels::conv::{Weighted, down, up};
use crate::kernels::conv_weights::WeightGradient;
use crate::kernels::finish::Finish;
use crate::kernels::simd::Isa;
use crate::kernels::{Buffer, layout, winograd};

/// Calls `f(offset in the small images, in the big ones, in the weights)` for every multiplication
/// of a convolution.
fn each_product(g: &Geometry, batch: usize, mut f: impl FnMut(usize, usize, usize)) {
    let Geometry { big, small, kernel, stride, padding } = *g;
    for n in 0..batch {
        for (a, b) in (0..small.channels).flat_map(|a| (0..big.channels).map(move |b| (a, b))) {
            for p in 0..small.pixels() {
                for tap in 0..g.taps() {
                    let y = (p / small.width * stride + tap / kernel[1]).wrapping_sub(padding[0]);
                    let x = (p % small.width * stride + tap % kernel[1]).wrapping_sub(padding[1]);
                    if y < big.height && x < big.width {
                        let at_small = (n * small.channels + a) * small.pixels() + p;
                        let at_big = (n * big.channels + b) * big.pixels() + y * big.width + x;
                        f(at_small, at_big, (a * big.channels + b) * g.taps() + tap);
                    }
                }
            }
        }
    }
}

fn geometries() -> Vec<Geometry> {
    let conv = |big: Image, channels: usize, kernel: [usize; 2], stride: usize, padding: [usize; 2]| {
        let size = |s: usize, axis: usize| (s + 2 * padding[axis] - kernel[axis]) / stride + 1;
        let small = image(channels, size(big.height, 0), size(big.width, 1));
        Geometry { big, small, kernel, stride, padding }
    };
    vec![
        conv(image(1, 8, 8), 17, [4, 4], 2, [1; 2]),
        conv(image(3, 5, 7), 20, [4, 4], 2, [1; 2]),
        conv(image(18, 5, 7), 3, [3, 3], 1, [1; 2]),
        conv(image(5, 9, 6), 1, [3, 2], 1, [0; 2]),
        conv(image(40, 7, 7), 1, [7, 7], 1, [0; 2]),
        conv(image(33, 4, 4), 100, [4, 4], 1, [0; 2]),
        conv(image(2, 9, 11), 4, [2, 2], 3, [0; 2]),
        conv(image(2, 7, 5), 16, [5, 5], 3, [2; 2]),
        conv(image(70, 1, 1), 45, [1, 1], 1, [0; 2]),
        conv(image(3, 5, 5), 4, [1, 1], 2, [0; 2]),
        conv(image(48, 1, 1), 1, [1, 1], 1, [0; 2]),
        conv(image(18, 5, 7), 13, [1, 7], 1, [0, 3]),
        conv(image(6, 9, 4), 7, [5, 2], 2, [3, 1]),
    ]
}

#[test]
fn the_three_products_equal_the_definition() {
    for isa in Isa::available() {
        for (i, g) in geometries().into_iter().enumerate() {
            for batch in [1, 16, 37, 128] {
                if batch == 128 && g.taps() > 20 {
                    continue;
                }
                let what = format!("{isa:?} {g:?} {batch}");
                let (small_len, big_len) =
                    (batch * g.small.channels * g.small.pixels(), batch * g.big.channels * g.big.pixels());
                let (small, big) = (random(small_len, i as u64), random(big_len, 100 + i as u64));
                let w = random(g.weights(), 200 + i as u64);
                let mut expected = (vec![0f64; small_len], vec![0f64; big_len], vec![0f64; w.len()]);
                each_product(&g, batch, |s, b, t| {
                    expected.0[s] += f64::from(w[t]) * f64::from(big[b]);
                    expected.1[b] += f64::from(w[t]) * f64::from(small[s]);
                    expected.2[t] += f64::from(small[s]) * f64::from(big[b]);
                });
                let (small, big) = (to_maps(isa, &small, batch, g.small), to_maps(isa, &big, batch, g.big));
                let mut packed = Buffer::new(w.len());
                let mut out = Buffer::new(small.len());
                out.fill(f32::NAN);
                layout::pack_down(isa, &g, &w, &mut packed);
                down(Weighted { isa, geometry: &g, batch, weights: &packed }, &big, &mut out, Finish::Keep);
                close(&format!("down {what}"), &to_nchw(isa, &out, batch, g.small), &expected.0);

                let mut out = Buffer::new(big.len());
                out.fill(f32::NAN);
                layout::pack_up(isa, &g, &w, &mut packed);
                let weights = if g.is_linear() { &w[..] } else { &packed };
                up(Weighted { isa, geometry: &g, batch, weights }, &small, &mut out, Finish::Keep);
                close(&format!("up {what}"), &to_nchw(isa, &out, batch, g.big), &expected.1);

                // It runs twice, so that the second batch is added to the first.
                let mut gradient = WeightGradient::new(g);
                gradient
                    .read(isa, |out| assert!(out.len() == w.len() && out.iter().all(|v| *v == 0.), "{what}"));
                gradient.add(isa, batch, &small, &big);
                gradient.add(isa, batch, &small, &big);
                let twice: Vec<_> = expected.2.iter().map(|v| 2. * v).collect();
                gradient.read(isa, |out| close(&format!("weights {what}"), out, &twice));
                gradient.clear();
                gradient.add(isa, batch, &small, &big);
                gradient.read(isa, |out| close(&format!("once {what}"), out, &expected.2));
            }
        }
    }
}

#[test]
fn fewer_multiplications_give_the_same_products() {
    for isa in Isa::available() {
        for (i, [height, width]) in [[2, 2], [3, 5], [4, 7], [8, 11]].into_iter().enumerate() {
            let (big, small) = (image(32 + i, 2 * height, 2 * width), image(50 - i, height, width));
            let g = Geometry { big, small, kernel: [4, 4], stride: 2, padding: [1, 1] };
            assert!(winograd::serves(&g));
            for batch in [3, 70] {
                let what = format!("{isa:?} {g:?} {batch}");
                let (x, y) = (
                    random(batch * big.channels * big.pixels(), 0),
                    random(batch * small.channels * small.pixels(), 1),
                );
                let w = random(g.weights(), 2);
                let mut expected = (vec![0f64; y.len()], vec![0f64; x.len()], vec![0f64; w.len()]);
                each_product(&g, batch, |s, b, t| {
                    expected.0[s] += f64::from(w[t]) * f64::from(x[b]);
                    expected.1[b] += f64::from(w[t]) * f64::from(y[s]);
                    expected.2[t] += f64::from(y[s]) * f64::from(x[b]);
                });
                let (mut packed, mut points) = (Buffer::new(w.len()), Buffer::new(winograd::transformed(&g)));
                let (x, y) = (to_maps(isa, &x, batch, big), to_maps(isa, &y, batch, small));
                let mut out = Buffer::new(y.len());
                out.fill(f32::NAN);
                layout::pack_down(isa, &g, &w, &mut packed);
                winograd::transform_down(isa, &g, &packed, &mut points);
                let shift = vec![1.; small.channels];
                let end =
                    Finish::Forward { scale: None, shift: Some(&shift), activation: Activation::Identity };
                winograd::down(Weighted { isa, geometry: &g, batch, weights: &points }, &x, &mut out, end);
                expected.0.iter_mut().for_each(|v| *v += 1.);
                close(&format!("down {what}"), &to_nchw(isa, &out, batch, small), &expected.0);
                let mut out = Buffer::new(x.len());
                out.fill(f32::NAN);
                layout::pack_up(isa, &g, &w, &mut packed);
                winograd::transform_up(isa, &g, &packed, &mut points);
                let product = Weighted { isa, geometry: &g, batch, weights: &points };
                winograd::up(product, &y, &mut out, Finish::Keep);
                close(&format!("up {what}"), &to_nchw(isa, &out, batch, big), &expected.1);
                let mut gradient = WeightGradient::new(g);
                gradient.add(isa, batch, &y, &x);
                gradient.add(isa, batch, &y, &x);
                expected.2.iter_mut().for_each(|v| *v *= 2.);
                gradient.read(isa, |out| close(&format!("weights {what}"), out, &expected.2));
            }
        }
    }
}
