//! The ops in plain candle operations. They work on every device and for every float type, and
//! they are differentiable.
//!
//! The top of this crate has functions with the same names. They choose between the functions here
//! and the kernels for the CPU. Tests compare the two. So the code of a model does not depend on
//! the choice.

mod activation;
mod adam;
mod batch_norm;
mod bce;
mod conv;
mod ema;
mod linear;
mod minibatch_std;
mod pixel_norm;
mod pool;
mod resample;

pub use activation::{Activation, activate, leaky_relu, relu, sigmoid, tanh};
pub use adam::{AdamHyper, adam_step};
pub use batch_norm::{BatchNorm, batch_norm_eval, batch_norm_train};
pub use bce::{bce_with_logits, softplus};
pub use conv::{conv_transpose2d, conv2d};
pub use ema::ema_step;
pub use linear::linear;
pub(crate) use minibatch_std::members;
pub use minibatch_std::minibatch_std;
pub(crate) use pixel_norm::PIXEL_NORM_EPS;
pub use pixel_norm::pixel_norm;
pub use pool::{Window, max_pool, mean_pool};
pub use resample::{average_pool, upsample};
