//! The fully connected layer.

use super::{Activation, activate};
use crate::geometry::{Product, check};
use candle_core::{Result, Tensor};

/// Computes `activation(x W^T + b)`: PyTorch's `functional.linear`, followed by the activation.
///
/// `x: [B, in]`, `weight: [out, in]`, `bias: [out]`; returns `[B, out]`.
///
/// # Errors
/// Shapes that do not fit together.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    check(x, weight, bias, Product::Linear)?;
    let y = x.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    activate(&y, activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn is_x_w_transposed_plus_b() -> Result<()> {
        let x = Tensor::new(&[[1f32, 2.]], &Device::Cpu)?;
        let w = Tensor::new(&[[1f32, 0.], [0., 1.], [3., 4.]], &Device::Cpu)?;
        let b = Tensor::new(&[0.5f32, 0., -1.], &Device::Cpu)?;
        assert_eq!(linear(&x, &w, Some(&b), Activation::Identity)?.to_vec2::<f32>()?, [[1.5, 2., 10.]]);
        assert!(linear(&x, &x.t()?, None, Activation::Identity).is_err());
        Ok(())
    }
}
