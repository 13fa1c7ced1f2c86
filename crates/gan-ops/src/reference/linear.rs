//! The fully connected layer.

use candle_core::{Result, Tensor};

/// `x W^T + b`, PyTorch's `functional.linear`.
///
/// `x: [B, in]`, `weight: [out, in]`, `bias: [out]`; returns `[B, out]`.
///
/// # Errors
/// Shapes that do not fit together.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
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
        assert_eq!(linear(&x, &w, Some(&b))?.to_vec2::<f32>()?, [[1.5, 2., 10.]]);
        assert!(linear(&x, &x.t()?, None).is_err());
        Ok(())
    }
}
