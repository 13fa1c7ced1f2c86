//! Second-order gradients. With `CANDLE_GRAD_DO_NOT_DETACH=1` the gradient of a gradient is right
//! through every op, fused or not. The test compares a gradient penalty's weight gradients with
//! finite differences.

use candle_core::{Device, Result, Tensor, Var};
use gan_ops::{Activation, conv2d, linear, rng::Stream};
use std::process::Command;

const SWITCH: &str = "CANDLE_GRAD_DO_NOT_DETACH";

/// candle reads the variable once, so the test starts itself again in a process that has it.
#[test]
fn a_gradient_penalty_has_the_right_gradients() -> Result<()> {
    if std::env::var_os(SWITCH).is_some() {
        return penalty_gradients();
    }
    let name = "a_gradient_penalty_has_the_right_gradients";
    let again = Command::new(std::env::current_exe()?).args(["--exact", name]).env(SWITCH, "1").output()?;
    let output = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && output.contains("1 passed"), "{output}");
    Ok(())
}

fn penalty_gradients() -> Result<()> {
    let device = Device::Cpu;
    let mut stream = Stream::new(0, "second-order", 0);
    let mut draw = |shape: &[usize]| stream.normal(shape, &device);
    let images = Var::from_tensor(&draw(&[3, 2, 6, 6])?)?;
    let weights = [&[4, 2, 4, 4][..], &[4], &[5, 36], &[5], &[1, 5]].map(&mut draw);
    let weights = weights.into_iter().map(|w| Var::from_tensor(&(w? * 0.3)?)).collect::<Result<Vec<_>>>()?;
    let penalty = || -> Result<Tensor> {
        let x = conv2d(&images, &weights[0], Some(&weights[1]), 2, 1, Activation::LeakyRelu(0.5))?;
        let x = linear(&x.flatten_from(1)?, &weights[2], Some(&weights[3]), Activation::Tanh)?;
        let logits = linear(&x, &weights[4], None, Activation::Identity)?;
        let grads = logits.sum_all()?.backward()?;
        grads.get(&images).map_or_else(|| candle_core::bail!("no gradient"), Tensor::sqr)?.sum_all()
    };
    let grads = penalty()?.backward()?;
    for (i, weight) in weights.iter().enumerate().filter(|(i, _)| i % 2 == 0) {
        let Some(grad) = grads.get(weight) else { candle_core::bail!("weight {i} has no gradient") };
        let direction = Stream::new(1, "direction", i as u64).normal(weight.shape(), &device)?;
        let expected = (grad * &direction)?.sum_all()?.to_scalar::<f32>()?;
        let start = weight.copy()?;
        let moved = |by: f64| -> Result<f32> {
            weight.set(&(&start + (&direction * by)?)?)?;
            penalty()?.to_scalar()
        };
        let found = (moved(1e-3)? - moved(-1e-3)?) / 2e-3;
        weight.set(&start)?;
        assert!(
            (found - expected).abs() < 0.02 * expected.abs().max(1.),
            "weight {i}: {found} against {expected}"
        );
    }
    Ok(())
}
