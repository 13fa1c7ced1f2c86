//! Activations, by themselves and as the last step of a fused layer.

use crate::kernels::{self, Isa};
use crate::tape::{Computed, contiguous};
use crate::{Activation, fused, reference, slices};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

impl Activation {
    /// Whether the kernels can compute it. They read the sign of the input from the sign of the
    /// output.
    pub(crate) fn keeps_sign(self) -> bool {
        match self {
            Self::LeakyRelu(slope) => slope >= 0.,
            Self::Identity | Self::Relu | Self::Tanh => true,
        }
    }
}

/// Computes `activation(x)`, element by element. The gradient at 0 is the gradient of the negative
/// side, as in PyTorch. NaN stays NaN. On the CPU in f32, only first-order gradients exist.
///
/// # Errors
/// Only errors of the device.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let served = fused::serves(x.device(), x.dtype()) && activation.keeps_sign();
    if activation == Activation::Identity || !served {
        return reference::activate(x, activation);
    }
    let x = contiguous(x)?;
    let y = slices::read(&x, |x| kernels::activate_all(Isa::best(), activation, x))?;
    x.apply_op1(Activate { activation, y: Computed::new(y, x.shape()) })
}

/// [`activate`] with [`Activation::Relu`].
///
/// # Errors
/// Only errors of the device.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    activate(x, Activation::Relu)
}

/// [`activate`] with [`Activation::LeakyRelu`].
///
/// # Errors
/// Only errors of the device.
pub fn leaky_relu(x: &Tensor, negative_slope: f64) -> Result<Tensor> {
    activate(x, Activation::LeakyRelu(negative_slope))
}

/// [`activate`] with [`Activation::Tanh`].
///
/// # Errors
/// Only errors of the device.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    activate(x, Activation::Tanh)
}

struct Activate {
    activation: Activation,
    y: Computed,
}

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.y.take()
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let mut values = slices::read(&gradient, <[f32]>::to_vec)?;
        slices::read(y, |y| kernels::activation_gradient_all(Isa::best(), self.activation, y, &mut values))?;
        Tensor::from_vec(values, x.shape(), x.device()).map(Some)
    }
}
