#![doc = include_str!("../README.md")]

mod activation;
mod adam;
mod batch_norm;
mod bce;
mod ema;
pub mod fused;
mod geometry;
#[expect(unsafe_code, reason = "what is fast on a CPU: vector instructions and threads that share a slice")]
#[expect(clippy::inline_always, reason = "only what is inlined has the vector instructions of its caller")]
#[expect(
    clippy::needless_range_loop,
    reason = "loops of constant bounds over several arrays unroll into registers"
)]
mod kernels;
mod product;
mod ranks;
pub mod reference;
pub mod rng;
mod slices;
mod tape;
pub mod threads;

pub use activation::{activate, leaky_relu, relu, tanh};
pub use adam::{Gradient, adam_step};
pub use batch_norm::{batch_norm_eval, batch_norm_train};
pub use bce::bce_with_logits;
pub use ema::ema_step;
pub use product::{conv_transpose2d, conv2d, linear};
pub use ranks::AllReduce;
pub use reference::{
    Activation, AdamHyper, Window, average_pool, max_pool, mean_pool, minibatch_std, pixel_norm, sigmoid,
    softplus, upsample,
};
