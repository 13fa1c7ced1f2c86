#![doc = include_str!("../README.md")]

mod batch;
mod config;
mod dcgan;
mod discriminator;
mod error;
mod file;
mod generator;
mod gradients;
pub mod init;
mod latents;
mod layer;
mod mlp;
mod params;
mod part;
mod pass;
pub mod preset;
mod residual;
mod sequential;
mod slope;
mod spectral;
mod stage;

pub use batch::Batch;
pub use config::{
    Activation, Arch, DiscriminatorConfig, DiscriminatorInput, DiscriminatorNorm, GeneratorConfig,
    ModelConfig,
};
pub use dcgan::{dcgan_discriminator, dcgan_generator};
pub use discriminator::Discriminator;
pub use error::{ModelError, Result};
pub use file::{Provenance, parse_tensors, read_tensors, write_tensors};
pub use generator::Generator;
pub use gradients::Gradients;
pub use latents::{Distribution, Latents};
pub use layer::{Convolution, Layer};
pub use mlp::{mlp_discriminator, mlp_generator};
pub use params::Params;
pub use pass::{Pass, Prepared, Wanted};
pub use residual::{residual_discriminator, residual_generator};
pub use sequential::{BATCH_NORM_MOMENTUM, Mode, Sequential};
pub use slope::Slope;
