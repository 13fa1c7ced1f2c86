//! Activations. Their gradients are PyTorch's gradients, also at exactly 0.

use candle_core::{Result, Tensor};

/// The function that a layer applies to each element of its result.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// No function: the result stays as it is.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x > 0`, and this slope times `x` elsewhere (Maas et al. 2013).
    LeakyRelu(f64),
    /// Hyperbolic tangent.
    Tanh,
}

/// Computes `activation(x)`, element by element.
///
/// # Errors
/// Only errors of the device.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => relu(x),
        Activation::LeakyRelu(slope) => leaky_relu(x, slope),
        Activation::Tanh => tanh(x),
    }
}

/// Computes `max(x, 0)`, element by element. The gradient at 0 is 0, as in PyTorch. candle's own
/// ReLU has the gradient 1 there. NaN stays NaN.
///
/// # Errors
/// Only errors of the device.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    // This is not `gt`, because NaN would then become 0.
    x.le(0f64)?.where_cond(&x.zeros_like()?, x)
}

/// Computes `x` where `x > 0`, and `negative_slope * x` elsewhere (Maas et al. 2013). The gradient
/// at 0 is `negative_slope`, as in PyTorch.
///
/// # Errors
/// Only errors of the device.
pub fn leaky_relu(x: &Tensor, negative_slope: f64) -> Result<Tensor> {
    // `0 * NaN` is NaN. So NaN stays NaN, even if the slope is 0.
    x.gt(0f64)?.where_cond(x, &(x * negative_slope)?)
}

/// Computes the hyperbolic tangent, element by element.
///
/// # Errors
/// Only errors of the device.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    x.tanh()
}

/// Computes `1 / (1 + exp(-x))`, element by element. It is 0 and 1 in the limits, and never NaN
/// for finite `x`.
///
/// # Errors
/// Only errors of the device.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    // For very negative x, exp(-x) overflows to infinity. The result 1 / (1 + inf) is 0, which is
    // right.
    (x.neg()?.exp()? + 1.)?.recip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn values_and_gradients_are_pytorchs_at_zero_too() -> Result<()> {
        let x = Var::new(&[-2f32, 0., 3.], &Device::Cpu)?;
        let relu = relu(&x)?;
        assert_eq!(relu.to_vec1::<f32>()?, [0., 0., 3.]);
        let grads = relu.backward()?;
        assert_eq!(grads.get(&x).unwrap().to_vec1::<f32>()?, [0., 0., 1.]);

        let leaky = leaky_relu(&x, 0.2)?;
        assert_eq!(leaky.to_vec1::<f32>()?, [-0.4, 0., 3.]);
        let grads = leaky.backward()?;
        assert_eq!(grads.get(&x).unwrap().to_vec1::<f32>()?, [0.2, 0.2, 1.]);
        Ok(())
    }

    #[test]
    fn nan_is_not_masked() -> Result<()> {
        let x = Tensor::new(&[f32::NAN], &Device::Cpu)?;
        assert!(relu(&x)?.to_vec1::<f32>()?[0].is_nan());
        assert!(leaky_relu(&x, 0.2)?.to_vec1::<f32>()?[0].is_nan());
        Ok(())
    }

    #[test]
    fn sigmoid_saturates_without_nan() -> Result<()> {
        let x = Tensor::new(&[-1000f32, 0., 1000.], &Device::Cpu)?;
        assert_eq!(sigmoid(&x)?.to_vec1::<f32>()?, [0., 0.5, 1.]);
        Ok(())
    }
}
