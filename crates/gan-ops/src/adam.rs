//! One update of Adam, in place.

use crate::kernels::{self, AdamFactors, Isa};
use crate::{AdamHyper, fused, reference, slices};
use candle_core::{Result, Tensor, Var};

/// The gradient of one parameter.
#[derive(Debug, Clone, Copy)]
pub enum Gradient<'a> {
    /// A tensor with the parameter's shape.
    Tensor(&'a Tensor),
    /// Values in the order of the parameter's elements, on the CPU.
    Slice(&'a [f32]),
}

impl Gradient<'_> {
    /// Number of elements.
    #[must_use]
    pub fn elem_count(&self) -> usize {
        match self {
            Self::Tensor(values) => values.elem_count(),
            Self::Slice(values) => values.len(),
        }
    }
}

/// Updates `param` and its two moments by one step of Adam (Kingma & Ba 2015, arXiv 1412.6980,
/// algorithm 1). The operations have PyTorch's order:
/// `p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`. Every tensor that shares their
/// values sees the new values.
///
/// All tensors have the same shape, and none is a view of another. `step` counts from 1.
///
/// # Errors
/// Shapes that differ; the same tensor passed twice.
pub fn adam_step(
    param: &Var,
    gradient: Gradient<'_>,
    [first, second]: [&Var; 2],
    hyper: &AdamHyper,
    step: u64,
) -> Result<()> {
    let shape = match gradient {
        Gradient::Tensor(grad) => grad.shape(),
        Gradient::Slice(grad) if grad.len() == param.elem_count() => param.shape(),
        Gradient::Slice(grad) => candle_core::bail!("adam: a gradient of {} for {param:?}", grad.len()),
    };
    if [shape, first.shape(), second.shape()].iter().any(|shape| *shape != param.shape()) {
        candle_core::bail!("adam: {shape:?}, {first:?} and {second:?} for {param:?}")
    }
    if [first, second].iter().any(|m| m.id() == param.id()) || first.id() == second.id() {
        candle_core::bail!("adam: the same tensor twice")
    }
    if param.elem_count() == 0 {
        return Ok(());
    }
    if fused::serves(param.device(), param.dtype()) {
        let update = |grad: &[f32]| in_place(param, grad, [first, second], hyper, step);
        return match gradient {
            Gradient::Slice(grad) => update(grad),
            Gradient::Tensor(grad) => {
                let grad = grad.contiguous()?;
                // A tensor cannot be read while it is written: the read would wait for itself.
                let place = |tensor: &Tensor| slices::read(tensor, |values| values.as_ptr() as usize);
                let places = [place(&grad)?, place(param)?, place(first)?, place(second)?];
                if (1..4).any(|i| places[..i].contains(&places[i])) {
                    candle_core::bail!("adam: the same tensor twice")
                }
                slices::read(&grad, update)?
            }
        };
    }
    let copied;
    let grad = match gradient {
        Gradient::Tensor(grad) => grad,
        Gradient::Slice(grad) => {
            copied = Tensor::from_slice(grad, param.shape(), param.device())?.to_dtype(param.dtype())?;
            &copied
        }
    };
    let [p, m, v] = reference::adam_step(param, grad, first, second, hyper, step)?;
    param.set(&p)?;
    first.set(&m)?;
    second.set(&v)
}

fn in_place(param: &Var, grad: &[f32], moments: [&Var; 2], hyper: &AdamHyper, step: u64) -> Result<()> {
    let [first, second] = moments;
    let (beta1, beta2) = hyper.betas;
    let factors = AdamFactors {
        betas: [beta1 as f32, beta2 as f32],
        rests: [(1. - beta1) as f32, (1. - beta2) as f32],
        correction: (1. / (1. - beta2.powf(step as f64)).sqrt()) as f32,
        rate: (hyper.lr / (1. - beta1.powf(step as f64))) as f32,
        eps: hyper.eps as f32,
    };
    slices::write(param, |p| {
        slices::write(first, |m| {
            slices::write(second, |v| kernels::adam(Isa::best(), &factors, p, grad, m, v))
        })
    })??
}
