#![doc = include_str!("../README.md")]

mod architectures;
mod batch;
mod chain;
mod config;
mod directions;
mod discriminator;
mod error;
mod file;
mod fused;
mod generator;
mod gradients;
mod init;
mod latents;
mod layers;
mod layout;
mod linear_map;
mod mode;
mod params;
mod pass;
pub mod preset;
mod pth;
mod sequential;
mod slope;
mod stage;

pub use batch::Batch;
pub use config::{
    Arch, DiscriminatorConfig, DiscriminatorInput, DiscriminatorNorm, GeneratorConfig, GeneratorNorm,
    HiddenActivation, ModelConfig, Upsampling,
};
pub use discriminator::Discriminator;
pub use error::{ModelError, Result};
pub use file::{
    Provenance, check_described, described, parse_tensors, read_tensors, read_weights, tensor_bytes,
    write_tensors,
};
pub use gan_ops::rng;
pub use generator::Generator;
pub use gradients::Gradients;
pub use init::DCGAN_DEVIATION;
pub use latents::{Distribution, Latents, proportional_labels};
pub use layers::{BATCH_NORM_MOMENTUM, Convolution, Layer};
pub use layout::{Entry, Layout};
pub use mode::{Draws, Mode};
pub use params::{Parameter, Params};
pub use pass::{Pass, Prepared};
pub use pth::read_state_dict;
pub use sequential::Sequential;
pub use slope::Slope;
pub use stage::Wanted;
