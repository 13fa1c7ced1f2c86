//! A two-layer network learns XOR: linear layers, leaky ReLU, cross-entropy on logits, Adam.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use gan_ops::{Activation, AdamHyper, Gradient, adam_step, bce_with_logits, linear, rng::Stream, sigmoid};

fn main() -> Result<()> {
    let device = Device::Cpu;
    let ones = Tensor::new(&[[0f32, 1.], [1., 0.]], &device)?;
    let zeros = Tensor::new(&[[0f32, 0.], [1., 1.]], &device)?;

    let mut stream = Stream::new(0, "xor", 0);
    let params = [(8, 2), (1, 8)].map(|shape| stream.normal(shape, &device));
    let [w1, w2] = params.map(|tensor| tensor.and_then(|t| Var::from_tensor(&t)));
    let params = [w1?, Var::zeros(8, candle_core::DType::F32, &device)?, w2?];
    let logits = |x: &Tensor| {
        let hidden = linear(x, &params[0], Some(&params[1]), Activation::LeakyRelu(0.2))?;
        linear(&hidden, &params[2], None, Activation::Identity)
    };

    let hyper = AdamHyper { lr: 0.05, betas: (0.9, 0.999), eps: 1e-8 };
    let mut moments = vec![];
    for param in &params {
        moments.push([Var::from_tensor(&param.zeros_like()?)?, Var::from_tensor(&param.zeros_like()?)?]);
    }
    for step in 1..=200 {
        let loss = (bce_with_logits(&logits(&ones)?, 1.)? + bce_with_logits(&logits(&zeros)?, 0.)?)?;
        let grads = loss.backward()?;
        for (param, [m, v]) in params.iter().zip(&moments) {
            let grad = grads.get(param).context("every parameter is used")?;
            adam_step(param, Gradient::Tensor(grad), [m, v], &hyper, step)?;
        }
        if step % 50 == 0 {
            println!("step {step}: loss {:.4}", loss.to_scalar::<f32>()?);
        }
    }
    println!("p(1) where XOR is 1: {}", sigmoid(&logits(&ones)?)?);
    println!("p(1) where XOR is 0: {}", sigmoid(&logits(&zeros)?)?);
    Ok(())
}
