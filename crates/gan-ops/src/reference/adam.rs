//! One update of Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1), in PyTorch's order of
//! operations.

use candle_core::{Result, Tensor};

/// The settings of one [`adam_step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamHyper {
    /// Step size.
    pub lr: f64,
    /// Decay rates of the first and of the second moment.
    pub betas: (f64, f64),
    /// Number that is added to the root of the second moment.
    pub eps: f64,
}

/// Returns the parameter and its two moments after one step of Adam. The new parameter is
/// `p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`.
///
/// All tensors have the same shape. `step` counts from 1.
///
/// # Errors
/// Shapes that differ.
pub fn adam_step(
    param: &Tensor,
    grad: &Tensor,
    first_moment: &Tensor,
    second_moment: &Tensor,
    hyper: &AdamHyper,
    step: u64,
) -> Result<[Tensor; 3]> {
    // A gradient from `backward` refers to the graph that it came from. If the moments kept this
    // reference, the graph of every step would stay in memory.
    let (param, grad) = (&param.detach(), &grad.detach());
    let (beta1, beta2) = hyper.betas;
    let first = ((first_moment * beta1)? + (grad * (1. - beta1))?)?;
    let second = ((second_moment * beta2)? + (grad.sqr()? * (1. - beta2))?)?;
    let correction1 = 1. - beta1.powf(step as f64);
    let correction2 = 1. - beta2.powf(step as f64);
    let denominator = ((second.sqrt()? / correction2.sqrt())? + hyper.eps)?;
    let param = (param - (first.div(&denominator)? * (hyper.lr / correction1))?)?;
    Ok([param, first, second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_gradients_sign() -> Result<()> {
        let hyper = AdamHyper { lr: 0.1, betas: (0.9, 0.999), eps: 1e-8 };
        let param = Tensor::new(&[1f64, 1., 1.], &Device::Cpu)?;
        let grad = Tensor::new(&[3f64, -0.01, 0.], &Device::Cpu)?;
        let zero = param.zeros_like()?;
        let [param, first, second] = adam_step(&param, &grad, &zero, &zero, &hyper, 1)?;
        for (p, expected) in param.to_vec1::<f64>()?.iter().zip([0.9, 1.1, 1.]) {
            assert!((p - expected).abs() < 1e-6, "{p} against {expected}");
        }
        assert!((first.to_vec1::<f64>()?[0] - 0.3).abs() < 1e-12);
        assert!((second.to_vec1::<f64>()?[0] - 0.009).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn nothing_hangs_on_the_graph_of_the_gradient() -> Result<()> {
        let hyper = AdamHyper { lr: 0.1, betas: (0.9, 0.999), eps: 1e-8 };
        let x = Var::new(&[1f64], &Device::Cpu)?;
        let loss = (x.as_tensor() * x.as_tensor())?;
        let grads = loss.backward()?;
        let zero = x.zeros_like()?;
        let after = adam_step(&x, grads.get(&x).unwrap(), &zero, &zero, &hyper, 1)?;
        assert!(after.iter().all(|tensor| !tensor.track_op()));
        Ok(())
    }
}
