// The README's example reads the embedded digits, so it is no test where they are left out.
#![cfg_attr(any(feature = "embedded", not(doctest)), doc = include_str!("../README.md"))]

mod batches;
mod config;
mod dataset;
mod error;
pub mod folder;
mod grid;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
pub mod mnist;
pub mod normalize;
mod resize;
mod rng;
mod stacked;

pub use batches::{Batches, BatchesConfig, LastBatch};
pub use config::{DataConfig, Source};
pub use dataset::{Dataset, evenly_spaced};
pub use error::{DataError, Result};
pub use grid::{Grid, GridBuilder, save_image};
pub use mnist::Split;
pub use normalize::Range;
