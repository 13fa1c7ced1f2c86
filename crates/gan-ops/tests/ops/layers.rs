//! A network of fused layers equals the same network in plain candle operations with candle's own
//! backward pass.

use candle_core::{Device, Result, Shape, Tensor, Var};
use gan_ops::fused::{BatchNorm, FusedLayer, GradientSums, Maps, Product};
use gan_ops::rng::Stream;
use gan_ops::{Activation, reference};

/// Layers, each with the shape of its input: channels, height, width.
type Network = Vec<([usize; 3], FusedLayer)>;

struct Random(u64);

impl Random {
    fn tensor(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.0 += 1;
        Stream::new(1, "layers-test", self.0).normal(shape, &Device::Cpu)
    }

    fn variable(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        Ok(Var::from_tensor(&self.tensor(shape)?)?.into_inner())
    }

    fn norm(&mut self, channels: usize) -> Result<BatchNorm> {
        let (weight, bias) = (self.variable(channels)?, self.variable(channels)?);
        let running_mean = self.variable(channels)?;
        let running_var = Var::from_tensor(&(self.tensor(channels)?.abs()? + 1.)?)?.into_inner();
        Ok(BatchNorm { weight, bias, running_mean, running_var, eps: 1e-5, momentum: 0.1, ranks: None })
    }
}

fn discriminator() -> Result<Network> {
    let mut random = Random(0);
    let product = Product::Conv2d { stride: 2, padding: [1, 1] };
    let conv = FusedLayer {
        product: Some((product, random.variable((20, 3, 4, 4))?, None)),
        norm: Some(random.norm(20)?),
        activation: Activation::LeakyRelu(0.2),
    };
    let second = FusedLayer {
        product: Some((
            Product::Conv2d { stride: 1, padding: [1, 1] },
            random.variable((17, 20, 3, 3))?,
            None,
        )),
        norm: Some(random.norm(17)?),
        activation: Activation::Relu,
    };
    let (weight, bias) = (random.variable((1, 17 * 2 * 3))?, random.variable(1)?);
    let linear = FusedLayer {
        product: Some((Product::Linear, weight, Some(bias))),
        norm: None,
        activation: Activation::Identity,
    };
    Ok(vec![([3, 5, 7], conv), ([20, 2, 3], second), ([17 * 2 * 3, 1, 1], linear)])
}

fn generator() -> Result<Network> {
    let mut random = Random(100);
    let (weight, bias) = (random.variable((18 * 2 * 3, 7))?, random.variable(18 * 2 * 3)?);
    let linear = FusedLayer {
        product: Some((Product::Linear, weight, Some(bias))),
        norm: None,
        activation: Activation::Identity,
    };
    let norm = FusedLayer { product: None, norm: Some(random.norm(18)?), activation: Activation::Relu };
    let product = Product::ConvTranspose2d { stride: 2, padding: 1 };
    let (weight, bias) = (random.variable((18, 3, 3, 5))?, random.variable(3)?);
    let conv = FusedLayer {
        product: Some((product, (weight / 5.)?.detach(), Some(bias))),
        norm: None,
        activation: Activation::Tanh,
    };
    Ok(vec![([7, 1, 1], linear), ([18, 2, 3], norm), ([18, 2, 3], conv)])
}

/// Computes the layer in plain candle operations, with `norm` as its batch normalisation.
fn twin(
    layer: &FusedLayer,
    x: &Tensor,
    norm: fn(&Tensor, &BatchNorm, Activation) -> Result<Tensor>,
) -> Result<Tensor> {
    let activation = if layer.norm.is_some() { Activation::Identity } else { layer.activation };
    let y = match &layer.product {
        None => x.clone(),
        Some((product, weight, bias)) => match *product {
            Product::Linear => reference::linear(&x.flatten_from(1)?, weight, bias.as_ref(), activation)?,
            Product::Conv2d { stride, padding: [rows, columns] } => {
                let x = x.pad_with_zeros(2, rows, rows)?.pad_with_zeros(3, columns, columns)?;
                reference::conv2d(&x, weight, bias.as_ref(), stride, 0, activation)?
            }
            Product::ConvTranspose2d { stride, padding } => {
                reference::conv_transpose2d(x, weight, bias.as_ref(), stride, padding, activation)?
            }
        },
    };
    layer.norm.as_ref().map_or(Ok(y.clone()), |n| norm(&y, n, layer.activation))
}

fn parameters(layer: &FusedLayer) -> Vec<&Tensor> {
    let product = layer.product.iter().flat_map(|(_, weight, bias)| [Some(weight), bias.as_ref()]);
    let norm = layer.norm.iter().flat_map(|norm| [Some(&norm.weight), Some(&norm.bias)]);
    product.chain(norm).flatten().collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Checks that the two are equal to within 1e-5 of the largest element.
#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |largest, e| largest.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-5 * largest, "{what}: element {i} is {f}, not {e}");
    }
}

/// Makes one forward and one backward pass. Returns the result and the gradient of the input.
fn pass(network: &Network, sums: &mut [GradientSums], x: &Tensor, loss: &Tensor) -> Result<[Tensor; 2]> {
    let prepared: Vec<_> = network.iter().map(|(_, layer)| layer.prepare()).collect();
    let (mut y, mut saved) = (Maps::from_tensor(x)?, vec![]);
    for ((shape, layer), prepared) in network.iter().zip(&prepared) {
        let (next, kept) = prepared.forward(&y.reshape(*shape)?)?;
        assert_eq!(next.image(), layer.output(*shape)?);
        saved.push(kept);
        y = next;
    }
    let mut gradient = Maps::from_tensor(&loss.reshape(y.to_tensor()?.shape())?)?;
    for (i, kept) in saved.into_iter().enumerate().rev() {
        let image = network[i].1.output(network[i].0)?;
        gradient = prepared[i].backward(kept, gradient.reshape(image)?, Some(&mut sums[i]), true)?.unwrap();
    }
    Ok([y.to_tensor()?, gradient.to_tensor()?])
}

fn through(
    network: &Network,
    x: &Tensor,
    norm: fn(&Tensor, &BatchNorm, Activation) -> Result<Tensor>,
) -> Result<Tensor> {
    network.iter().try_fold(x.clone(), |x, ([channels, height, width], layer)| {
        twin(layer, &x.reshape((x.dim(0)?, *channels, *height, *width))?, norm)
    })
}

fn assert_equal(network: fn() -> Result<Network>) -> Result<()> {
    let (fused, plain) = (network()?, network()?);
    let mut sums =
        fused.iter().map(|(shape, layer)| layer.prepare().gradient(*shape)).collect::<Result<Vec<_>>>()?;
    let mut expected: Vec<Vec<Vec<f32>>> = vec![];
    // The gradients of the last two batches are summed, and those of the first batch are cleared.
    for (i, batch) in [16, 37, 2].into_iter().enumerate() {
        let mut random = Random(200 + 10 * i as u64);
        let [channels, height, width] = fused[0].0;
        let x = Var::from_tensor(&random.tensor((batch, channels, height, width))?)?;
        let y = through(&plain, &x, reference::batch_norm_train)?;
        let loss = random.tensor(y.shape())?;
        let grads = (&y * &loss)?.sum_all()?.backward()?;
        let [found, d_x] = pass(&fused, &mut sums, &x, &loss)?;
        close("result", &values(&found), &values(&y));
        close("gradient of the input", &values(&d_x), &values(grads.get(&x).unwrap()));
        if i == 0 {
            sums.iter_mut().for_each(GradientSums::clear);
            continue;
        }
        let gradients = plain.iter().map(|(_, layer)| {
            parameters(layer).into_iter().map(|p| values(grads.get(p).unwrap())).collect::<Vec<_>>()
        });
        let gradients: Vec<_> = gradients.collect();
        if expected.is_empty() {
            expected = gradients;
        } else {
            let pairs = expected.iter_mut().flatten().flatten().zip(gradients.iter().flatten().flatten());
            pairs.for_each(|(sum, value)| *sum += value);
        }
    }
    for (i, (sums, expected)) in sums.iter().zip(&expected).enumerate() {
        let mut found = vec![];
        sums.each(|values| found.push(values.to_vec()));
        assert_eq!(found.len(), expected.len());
        for (j, (found, expected)) in found.iter().zip(expected).enumerate() {
            close(&format!("layer {i}, parameter {j}"), found, expected);
        }
    }
    for ((_, fused), (_, plain)) in fused.iter().zip(&plain) {
        for (fused, plain) in fused.norm.iter().zip(&plain.norm) {
            close("running mean", &values(&fused.running_mean), &values(&plain.running_mean));
            close("running variance", &values(&fused.running_var), &values(&plain.running_var));
        }
    }
    let [channels, height, width] = fused[0].0;
    let x = Random(300).tensor((37, channels, height, width))?;
    let mut y = Maps::from_tensor(&x)?;
    for (shape, layer) in &fused {
        y = layer.prepare().evaluate(&y.reshape(*shape)?)?;
    }
    let expected = through(&plain, &x, reference::batch_norm_eval)?;
    close("evaluation", &values(&y.to_tensor()?), &values(&expected));
    Ok(())
}

#[test]
fn a_discriminator_equals_its_twin() -> Result<()> {
    assert_equal(discriminator)
}

#[test]
fn a_generator_equals_its_twin() -> Result<()> {
    assert_equal(generator)
}

#[test]
fn evaluation_folds_the_norm_into_the_product() -> Result<()> {
    for (product, weight, outputs, shape) in [
        (Product::Linear, vec![20, 7], 20, [7, 1, 1]),
        (Product::Conv2d { stride: 2, padding: [1, 1] }, vec![20, 3, 4, 4], 20, [3, 5, 7]),
        (Product::Conv2d { stride: 1, padding: [0, 2] }, vec![20, 3, 1, 5], 20, [3, 5, 7]),
        (Product::Conv2d { stride: 1, padding: [3, 0] }, vec![20, 3, 7, 1], 20, [3, 5, 7]),
        (Product::ConvTranspose2d { stride: 2, padding: 1 }, vec![3, 20, 4, 4], 20, [3, 5, 7]),
    ] {
        let mut random = Random(400);
        for bias in [None, Some(random.tensor(outputs)?)] {
            let product = Some((product, random.tensor(&weight[..])?, bias));
            let layer =
                FusedLayer { product, norm: Some(random.norm(outputs)?), activation: Activation::Tanh };
            let x = random.tensor((5, shape[0], shape[1], shape[2]))?;
            let found = layer.prepare().evaluate(&Maps::from_tensor(&x)?)?.to_tensor()?;
            let expected = twin(&layer, &x, reference::batch_norm_eval)?;
            close("evaluation", &values(&found), &values(&expected));
        }
    }
    Ok(())
}

/// A result can be its own gradient, because it is the gradient of half its square.
#[test]
fn a_gradient_may_come_from_a_forward_pass() -> Result<()> {
    let mut random = Random(500);
    let product = (
        Product::Conv2d { stride: 1, padding: [1, 1] },
        random.tensor((3, 3, 3, 3))?,
        Some(random.tensor(3)?),
    );
    for norm in [None, Some(random.norm(3)?)] {
        let layer = FusedLayer { product: Some(product.clone()), norm, activation: Activation::Tanh };
        same_for_either_padding(&layer, &mut random)?;
    }
    Ok(())
}

/// Checks that the padding of a gradient does not affect the result. The padding of a forward
/// result has arbitrary values, while the padding of a gradient from a tensor has zeros.
fn same_for_either_padding(layer: &FusedLayer, random: &mut Random) -> Result<()> {
    let prepared = layer.prepare();
    let (x, _) = prepared.forward(&Maps::from_tensor(&random.tensor((37, 3, 5, 7))?)?)?;
    let run = |gradient: fn(&Maps) -> Result<Maps>| {
        let mut sums = prepared.gradient([3, 5, 7])?;
        let (y, saved) = prepared.forward(&x)?;
        let input = prepared.backward(saved, gradient(&y)?, Some(&mut sums), true)?.unwrap();
        let mut all = values(&input.to_tensor()?);
        sums.each(|values| all.extend_from_slice(values));
        Result::Ok(all)
    };
    assert!(run(|y| Ok(y.clone()))? == run(|y| Maps::from_tensor(&y.to_tensor()?))?);
    Ok(())
}

#[test]
fn what_nobody_asked_for_is_not_computed() -> Result<()> {
    let (shape, layer) = discriminator()?.swap_remove(0);
    let x = Maps::from_tensor(&Random(0).tensor((3, shape[0], shape[1], shape[2]))?)?;
    let prepared = layer.prepare();
    let (y, saved) = prepared.forward(&x)?;
    assert!(prepared.backward(saved, y, None, false)?.is_none());
    Ok(())
}

/// The size of the image decides whether the weights are transformed.
#[test]
fn one_preparation_serves_images_of_any_size() -> Result<()> {
    let mut random = Random(600);
    let product = Product::Conv2d { stride: 2, padding: [1, 1] };
    let layer = FusedLayer {
        product: Some((product, random.tensor((32, 32, 4, 4))?, None)),
        norm: None,
        activation: Activation::Identity,
    };
    let prepared = layer.prepare();
    for size in [8, 7, 2, 8] {
        let x = Maps::from_tensor(&random.tensor((3, 32, size, size))?)?;
        let (y, saved) = prepared.forward(&x)?;
        let (expected, _) = layer.prepare().forward(&x)?;
        assert!(values(&y.to_tensor()?) == values(&expected.to_tensor()?));
        assert_eq!(prepared.backward(saved, y, None, true)?.map(|dx| dx.image()), Some([32, size, size]));
    }
    Ok(())
}
