//! The ops written in plain candle operations: every device, every float type, differentiable.
//!
//! So far they are the only implementation. A faster one belongs beside this module, tested equal to it and chosen
//! inside the public function, so that code of models never sees the difference.

mod activation;
mod adam;
mod batch_norm;
mod bce;
mod conv;
mod linear;

pub use activation::{leaky_relu, relu, sigmoid, tanh};
pub use adam::{AdamHyper, adam_step};
pub use batch_norm::{BatchStats, batch_norm_eval, batch_norm_train};
pub use bce::{bce_with_logits, softplus};
pub use conv::{conv_transpose2d, conv2d};
pub use linear::linear;
