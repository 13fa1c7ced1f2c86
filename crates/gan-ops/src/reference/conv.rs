//! Convolution and transposed convolution over images.

use super::{Activation, activate};
use crate::geometry::{Product, check};
use candle_core::{Result, Tensor};

/// PyTorch's `functional.conv2d` with the same stride and padding on both axes, followed by the
/// activation.
///
/// `x: [B, in, H, W]`, `weight: [out, in, k, k]`, `bias: [out]`; returns `[B, out, H', W']` with
/// `H' = (H + 2 padding - k) / stride + 1`, rounded down.
///
/// # Errors
/// Shapes that do not fit together, a stride of 0, a kernel larger than the padded image.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    activation: Activation,
) -> Result<Tensor> {
    check(x, weight, bias, Product::Conv2d { stride, padding: [padding; 2] })?;
    // `left` is the number of rows or columns that no step of the kernel reaches. candle's
    // gradients are right only if this is 0, or the same on both axes. So these rows and columns
    // are cut off here.
    let left = |axis| Ok((x.dim(axis)? + 2 * padding - weight.dim(axis)?) % stride);
    let [rows, columns]: [Result<usize>; 2] = [left(2), left(3)];
    let (rows, columns) = (rows?, columns?);
    if rows + columns > 0 {
        let x = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
        let x = x.narrow(2, 0, x.dim(2)? - rows)?.narrow(3, 0, x.dim(3)? - columns)?.contiguous()?;
        return finish(x.conv2d(weight, 0, stride, 1, 1)?, bias, activation);
    }
    finish(x.conv2d(weight, padding, stride, 1, 1)?, bias, activation)
}

/// PyTorch's `functional.conv_transpose2d` with the same stride and padding on both axes, without
/// output padding, followed by the activation.
///
/// `x: [B, in, H, W]`, `weight: [in, out, k, k]`, `bias: [out]`; returns `[B, out, H', W']` with
/// `H' = (H - 1) stride - 2 padding + k`.
///
/// # Errors
/// Shapes that do not fit together, a stride of 0, an output that would be empty.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    activation: Activation,
) -> Result<Tensor> {
    check(x, weight, bias, Product::ConvTranspose2d { stride, padding })?;
    finish(x.conv_transpose2d(weight, padding, 0, stride, 1)?, bias, activation)
}

fn finish(y: Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let y = match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
        None => y,
    };
    activate(&y, activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use candle_core::{Device, Var};

    /// Computes the convolution by its definition, one multiplication at a time.
    fn conv2d_by_hand(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Vec<f32>> {
        let (batch, channels, height, width) = x.dims4()?;
        let (out_channels, _, kernel, _) = weight.dims4()?;
        let (x, weight) = (x.flatten_all()?.to_vec1::<f32>()?, weight.flatten_all()?.to_vec1::<f32>()?);
        let (out_h, out_w) =
            ((height + 2 * padding - kernel) / stride + 1, (width + 2 * padding - kernel) / stride + 1);
        let mut out = vec![];
        for b in 0..batch {
            for o in 0..out_channels {
                for oy in 0..out_h {
                    for ox in 0..out_w {
                        let mut sum = 0.;
                        for c in 0..channels {
                            for ky in 0..kernel {
                                for kx in 0..kernel {
                                    let (y, x_) = (oy * stride + ky, ox * stride + kx);
                                    if (padding..padding + height).contains(&y)
                                        && (padding..padding + width).contains(&x_)
                                    {
                                        let at = ((b * channels + c) * height + y - padding) * width + x_
                                            - padding;
                                        let w = ((o * channels + c) * kernel + ky) * kernel + kx;
                                        sum += x[at] * weight[w];
                                    }
                                }
                            }
                        }
                        out.push(sum);
                    }
                }
            }
        }
        Ok(out)
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() < 1e-4, "element {i}: {a} against {b}");
        }
    }

    #[test]
    fn equals_the_definition_at_odd_and_strided_shapes() -> Result<()> {
        let device = Device::Cpu;
        for (batch, channels, out, h, w, k, stride, padding) in
            [(1, 1, 1, 5, 7, 4, 2, 1), (3, 3, 5, 9, 6, 3, 1, 0), (2, 4, 3, 7, 7, 7, 1, 0)]
        {
            let mut stream = Stream::new(1, "conv-test", 0);
            // These are transposed views, so their strides are not the strides of contiguous
            // tensors.
            let x = stream.normal((channels, batch, w, h), &device)?.transpose(0, 1)?.transpose(2, 3)?;
            let weight = stream.normal((channels, out, k, k), &device)?.transpose(0, 1)?;
            let y = conv2d(&x, &weight, None, stride, padding, Activation::Identity)?;
            close(&y.flatten_all()?.to_vec1()?, &conv2d_by_hand(&x, &weight, stride, padding)?);
        }
        Ok(())
    }

    /// The transposed convolution is the adjoint of the convolution:
    /// `<conv(x), y> = <x, convT(y)>`. The gradients of the transposed convolution follow from the
    /// same identity.
    #[test]
    fn transposed_convolution_is_the_adjoint_with_the_right_gradients() -> Result<()> {
        let device = Device::Cpu;
        let mut stream = Stream::new(2, "conv-test", 0);
        let weight = Var::from_tensor(&stream.normal((5, 3, 4, 4), &device)?)?;
        let x = Var::from_tensor(&stream.normal((2, 3, 8, 10), &device)?)?;
        let y = Var::from_tensor(&stream.normal((2, 5, 4, 5), &device)?)?;
        assert_adjoint(&x, &y, &weight, 2, 1)?;
        // One image has one pixel. The kernel is as large as the other image.
        let x = Var::from_tensor(&stream.normal((2, 3, 4, 4), &device)?)?;
        let y = Var::from_tensor(&stream.normal((2, 5, 1, 1), &device)?)?;
        assert_adjoint(&x, &y, &weight, 1, 0)
    }

    fn assert_adjoint(x: &Var, y: &Var, weight: &Var, stride: usize, padding: usize) -> Result<()> {
        let forward =
            (conv2d(x, weight, None, stride, padding, Activation::Identity)? * y.as_tensor())?.sum_all()?;
        let adjoint = (conv_transpose2d(y, weight, None, stride, padding, Activation::Identity)?
            * x.as_tensor())?
        .sum_all()?;
        assert!((forward.to_scalar::<f32>()? - adjoint.to_scalar::<f32>()?).abs() < 1e-3);
        // Both are the same function of (x, y, weight), so all three gradients agree.
        let (a, b) = (forward.backward()?, adjoint.backward()?);
        for var in [weight, x, y] {
            let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
            close(&flat(a.get(var).unwrap())?, &flat(b.get(var).unwrap())?);
        }
        Ok(())
    }

    #[test]
    fn the_bias_is_per_channel() -> Result<()> {
        let x = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu)?;
        let weight = Tensor::zeros((2, 1, 1, 1), candle_core::DType::F32, &Device::Cpu)?;
        let bias = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
        let y = conv2d(&x, &weight, Some(&bias), 1, 0, Activation::Identity)?;
        assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1., 1., 1., 1., 2., 2., 2., 2.]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let x = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu)?;
        let weight = Tensor::zeros((1, 1, 4, 4), candle_core::DType::F32, &Device::Cpu)?;
        assert!(conv2d(&x, &weight, None, 2, 0, Activation::Identity).is_err());
        assert!(conv2d(&x, &weight, None, 0, 1, Activation::Identity).is_err());
        assert!(conv_transpose2d(&x, &weight, None, 1, 3, Activation::Identity).is_err());
        assert!(conv_transpose2d(&x, &weight, None, 0, 1, Activation::Identity).is_err());
        Ok(())
    }
}
