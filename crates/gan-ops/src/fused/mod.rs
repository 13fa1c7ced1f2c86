//! Whole layers on the CPU, forward and backward without candle's tape: for training loops that know their backward pass.
//!
//! `Tensor::backward` first fills each gradient with zeros and then adds to it, 16 bytes of traffic for every element
//! of every activation and weight, on one thread. On a small network that costs as much as the layers themselves, so
//! these hand their gradients over as they are: [`PreparedLayer::forward`] gives its result and what [`PreparedLayer::backward`] needs.
//! First order, and [`PreparedLayer::slope`] for penalties on a gradient.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use gan_ops::{Activation, fused::{FusedLayer, Maps, Product}};
//! # fn main() -> candle_core::Result<()> {
//! let weight = Tensor::new(&[[1f32, -2.], [0.5, 1.]], &Device::Cpu)?;
//! let layer = FusedLayer { product: Some((Product::Linear, weight, None)), norm: None, activation: Activation::Relu };
//! let x = Maps::from_tensor(&Tensor::new(&[[1f32, 1.]], &Device::Cpu)?)?;
//! let prepared = layer.prepare();
//! let mut sums = prepared.gradient(x.image())?;
//! let (y, saved) = prepared.forward(&x)?;
//! assert_eq!(y.to_tensor()?.flatten_all()?.to_vec1::<f32>()?, [0., 1.5]);
//! let dx = prepared.backward(saved, y, Some(&mut sums), true)?;
//! # let _ = dx;
//! # Ok(())
//! # }
//! ```

mod layer;
mod maps;
mod minibatch_std;
mod pixel_norm;
mod product;
mod resample;
mod slope;

pub use crate::geometry::Product;
pub use crate::reference::BatchNorm;
pub use layer::{FusedLayer, GradientSums, PreparedLayer, Saved};
pub use maps::Maps;
pub(crate) use product::Weights;
pub use slope::Sloped;

use candle_core::{DType, Device};

/// Whether these layers, and the kernels behind this crate's functions, serve tensors of that device and type: f32 on
/// the CPU, with the feature `fused`, unless second-order gradients were asked of candle.
#[must_use]
pub fn serves(device: &Device, dtype: DType) -> bool {
    cfg!(feature = "fused") && device.is_cpu() && dtype == DType::F32 && !second_order()
}

/// Whether candle was told to keep the graph of gradients, which kernels would silently leave.
fn second_order() -> bool {
    // Read once, as candle does (once per thread).
    static SET: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *SET.get_or_init(|| std::env::var("CANDLE_GRAD_DO_NOT_DETACH").is_ok_and(|v| !v.is_empty() && v != "0"))
}
