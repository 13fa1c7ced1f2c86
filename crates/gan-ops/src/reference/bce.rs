//! Binary cross-entropy on logits, in a form that stays finite.

use candle_core::{Result, Tensor};

/// Computes `ln(1 + exp(x))`, element by element, as `max(x, 0) + ln(1 + exp(-|x|))`. This form is
/// exact and finite for every finite `x`. Its gradient is `sigmoid(x)`.
///
/// # Errors
/// Only errors of the device.
// At 0, candle's relu has the gradient 1 and its abs has the gradient 1. Together they give
// 1 - 1/2, which is the value of the sigmoid there.
#[expect(clippy::disallowed_methods, reason = "candle's relu and abs agree at 0, which ours would not")]
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.)?.log()?
}

/// Mean binary cross-entropy of logits against one target probability for all of them:
/// `mean(softplus(x) - target * x)`. This is PyTorch's `BCEWithLogitsLoss` against a constant.
///
/// `logits`: any shape; `target` in [0, 1]; returns a scalar.
///
/// # Errors
/// Only errors of the device.
pub fn bce_with_logits(logits: &Tensor, target: f64) -> Result<Tensor> {
    // At target 1, softplus(-x) is exact, while softplus(x) - x would lose digits by cancellation.
    if target >= 1. {
        return softplus(&logits.neg()?)?.mean_all();
    }
    (softplus(logits)? - (logits * target)?)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn value_and_gradient_are_finite_and_exact_at_extreme_logits() -> Result<()> {
        for (logit, target, value, gradient) in [
            (100f32, 1., 0., 0.),
            (100., 0., 100., 1.),
            (-100., 1., 100., -1.),
            (-100., 0., 0., 0.),
            (0., 1., std::f32::consts::LN_2, -0.5),
            (0., 0., std::f32::consts::LN_2, 0.5),
            (0., 0.9, std::f32::consts::LN_2, -0.4),
        ] {
            let x = Var::new(&[logit], &Device::Cpu)?;
            let loss = bce_with_logits(&x, target)?;
            assert!((loss.to_scalar::<f32>()? - value).abs() < 1e-6, "{logit} {target}");
            let grads = loss.backward()?;
            let g = grads.get(&x).unwrap().to_vec1::<f32>()?[0];
            assert!((g - gradient).abs() < 1e-6, "{logit} {target}: {g}");
        }
        Ok(())
    }
}
