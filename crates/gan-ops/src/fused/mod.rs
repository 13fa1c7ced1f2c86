//! Whole layers on the CPU, with forward and backward passes that do not use candle's tape. They
//! are for training loops that make the backward pass themselves.
//!
//! `Tensor::backward` fills each gradient with zeros and then adds to it, on one thread. This
//! moves 16 bytes for every element of every activation and weight. On a small network it costs as
//! much as the layers themselves. These layers avoid this cost: [`PreparedLayer::forward`] returns
//! its result and the values that [`PreparedLayer::backward`] needs, and the backward pass returns
//! its gradients directly. [`PreparedLayer::slope`] gives the second order that a penalty on a
//! gradient needs.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use gan_ops::{Activation, fused::{FusedLayer, Maps, Product}};
//! # fn main() -> candle_core::Result<()> {
//! let weight = Tensor::new(&[[1f32, -2.], [0.5, 1.]], &Device::Cpu)?;
//! let product = Some((Product::Linear, weight, None));
//! let layer = FusedLayer { product, norm: None, activation: Activation::Relu };
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

mod batch_norm;
mod layer;
mod maps;
mod minibatch_std;
mod pixel_norm;
mod pool;
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

/// Whether these layers and this crate's functions compute with the kernels for tensors of this
/// device and type. They do so for f32 on the CPU if the feature `fused` is on. They do not if the
/// user set `CANDLE_GRAD_DO_NOT_DETACH`, which makes candle compute second-order gradients.
#[must_use]
pub fn serves(device: &Device, dtype: DType) -> bool {
    cfg!(feature = "fused") && device.is_cpu() && dtype == DType::F32 && !second_order()
}

/// Whether the user told candle to keep the graph of gradients. Gradients from the kernels are not
/// on this graph, so their own gradients would be missing without an error.
fn second_order() -> bool {
    // The variable is read once in a process. candle reads it once in each thread.
    static SET: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *SET.get_or_init(|| std::env::var("CANDLE_GRAD_DO_NOT_DETACH").is_ok_and(|v| !v.is_empty() && v != "0"))
}
