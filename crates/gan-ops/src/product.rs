//! Linear layers and convolutions on candle's tape.

use crate::fused::{Maps, Product, Weights};
use crate::geometry::check;
use crate::kernels::{self, Finish, Isa, WeightGradient};
use crate::tape::{Computed, contiguous};
use crate::{Activation, fused, reference, slices};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// Computes `activation(x W^T + b)`: PyTorch's `functional.linear`, followed by the activation. On
/// the CPU in f32, only first-order gradients exist.
///
/// `x: [B, in]`, `weight: [out, in]`, `bias: [out]`; returns `[B, out]`.
///
/// # Errors
/// Shapes that do not fit together.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    check(x, weight, bias, Product::Linear)?;
    if !served(x, weight, activation) {
        return reference::linear(x, weight, bias, activation);
    }
    multiply(x, weight, bias, Product::Linear, activation)?.flatten_from(1)
}

/// PyTorch's `functional.conv2d` with the same stride and padding on both axes, followed by the
/// activation. On the CPU in f32, only first-order gradients exist.
///
/// `x: [B, in, H, W]`, `weight: [out, in, kh, kw]`, `bias: [out]`; returns `[B, out, H', W']` with
/// `H' = (H + 2 padding - kh) / stride + 1`, rounded down.
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
    if !served(x, weight, activation) {
        return reference::conv2d(x, weight, bias, stride, padding, activation);
    }
    multiply(x, weight, bias, Product::Conv2d { stride, padding: [padding; 2] }, activation)
}

/// PyTorch's `functional.conv_transpose2d` with the same stride and padding on both axes, without
/// output padding, followed by the activation. On the CPU in f32, only first-order gradients
/// exist.
///
/// `x: [B, in, H, W]`, `weight: [in, out, kh, kw]`, `bias: [out]`; returns `[B, out, H', W']` with
/// `H' = (H - 1) stride - 2 padding + kh`.
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
    if !served(x, weight, activation) {
        return reference::conv_transpose2d(x, weight, bias, stride, padding, activation);
    }
    multiply(x, weight, bias, Product::ConvTranspose2d { stride, padding }, activation)
}

fn served(x: &Tensor, weight: &Tensor, activation: Activation) -> bool {
    let tensors = [x, weight].iter().all(|tensor| fused::serves(tensor.device(), tensor.dtype()));
    tensors && activation.keeps_sign()
}

fn multiply(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    product: Product,
    activation: Activation,
) -> Result<Tensor> {
    let (x, weight) = (contiguous(x)?, contiguous(weight)?);
    let maps = Maps::from_tensor(&x)?;
    let weights = Weights::new(product, &weight);
    let forward =
        |shift: Option<&[f32]>| weights.forward(&maps, Finish::Forward { scale: None, shift, activation });
    let y = match bias {
        Some(bias) => slices::read(&bias.contiguous()?, |bias| forward(Some(bias)))??,
        None => forward(None)?,
    };
    let op = Op { product, activation, y: Computed::new(y.to_vec(), y.dims()) };
    match bias {
        Some(bias) => x.apply_op3(&weight, bias, op),
        None => x.apply_op2(&weight, op),
    }
}

struct Op {
    product: Product,
    activation: Activation,
    y: Computed,
}

impl Op {
    /// Gradients of input, weight and bias. It computes only those that are on the tape.
    fn gradients(
        &self,
        [x, weight]: [&Tensor; 2],
        bias: Option<&Tensor>,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let (isa, maps) = (Isa::best(), Maps::from_tensor(x)?);
        let mut gradient = Maps::from_tensor(gradient)?;
        if self.activation != Activation::Identity {
            let (y, image, batch) = (Maps::from_tensor(y)?, gradient.image, gradient.batch);
            let mut values = gradient.into_values();
            let end = Finish::Backward { output: &y.values, activation: self.activation };
            kernels::finish_all(isa, image, batch, &mut values, end);
            gradient = Maps::new(image, batch, values);
        }
        let weights = Weights::new(self.product, weight);
        let d_x = x.track_op().then(|| {
            let d_x = weights.input_gradient(maps.image, &gradient, Finish::Keep)?;
            Tensor::from_vec(d_x.to_vec(), x.shape(), x.device())
        });
        let d_weight = weight.track_op().then(|| {
            let mut sums = WeightGradient::new(self.product.geometry(weight, maps.image)?);
            weights.add_gradient(&mut sums, &maps, &gradient);
            let mut values = vec![];
            sums.read(isa, |sums| values.extend_from_slice(sums));
            Tensor::from_vec(values, weight.shape(), weight.device())
        });
        let d_bias = bias.filter(|bias| bias.track_op()).map(|bias| {
            let sums = kernels::channel_sums(isa, gradient.image, gradient.batch, &gradient.values);
            Tensor::from_vec(sums, bias.shape(), bias.device())
        });
        Ok([d_x.transpose()?, d_weight.transpose()?, d_bias.transpose()?])
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.y.take()
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [d_x, d_weight, _] = self.gradients([x, weight], None, y, gradient)?;
        Ok((d_x, d_weight))
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "product with bias"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.y.take()
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [d_x, d_weight, d_bias] = self.gradients([x, weight], Some(bias), y, gradient)?;
        Ok((d_x, d_weight, d_bias))
    }
}
