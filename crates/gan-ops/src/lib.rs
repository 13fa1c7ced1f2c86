#![doc = include_str!("../README.md")]
//!
//! # What is here
//!
//! | function | computes | second-order gradients |
//! | --- | --- | --- |
//! | [`linear`] | `x W^T + b` | yes |
//! | [`conv2d`], [`conv_transpose2d`] | 2-D convolution and its transpose | yes |
//! | [`batch_norm_train`], [`batch_norm_eval`] | batch normalisation with batch or running statistics | yes |
//! | [`relu`], [`leaky_relu`], [`tanh`], [`sigmoid`] | activations | yes |
//! | [`softplus`], [`bce_with_logits`] | the two pieces of a GAN loss, finite for every finite logit | yes |
//! | [`adam_step`] | one update of Adam | not differentiable |
//! | [`rng::Stream`] | seeded normal and uniform tensors | not differentiable |
//!
//! "Yes" is subject to candle's own rule: `Tensor::backward` detaches the gradients it computes
//! unless the environment variable `CANDLE_GRAD_DO_NOT_DETACH` is set to 1.

mod activation;
mod adam;
mod batch_norm;
mod bce;
pub mod fused;
#[expect(unsafe_code, reason = "what is fast on a CPU: vector instructions and threads that share a slice")]
#[expect(clippy::inline_always, reason = "only what is inlined has the vector instructions of its caller")]
#[expect(
    clippy::needless_range_loop,
    reason = "loops of constant bounds over several arrays unroll into registers"
)]
mod kernels;
mod product;
pub mod reference;
pub mod rng;
mod slices;
mod tape;
pub mod threads;

pub use activation::{Activation, activate, leaky_relu, relu, tanh};
pub use adam::{AdamHyper, Gradient, adam_step};
pub use batch_norm::{batch_norm_eval, batch_norm_train};
pub use bce::bce_with_logits;
pub use product::{conv_transpose2d, conv2d, linear};
pub use reference::{sigmoid, softplus};
