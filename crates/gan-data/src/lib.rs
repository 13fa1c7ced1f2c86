// The README's example reads the embedded digits, so it is only a test if this build contains them.
#![cfg_attr(any(feature = "embedded", not(doctest)), doc = include_str!("../README.md"))]

mod batches;
mod canonical;
mod cifar;
mod config;
mod dataset;
mod error;
pub mod folder;
mod format;
mod grid;
mod hub;
pub mod idx;
mod idx_files;
pub mod normalize;
mod packed;
mod resize;
mod rng;
mod sources;
mod spelling;
mod stacked;

pub use batches::{Batches, BatchesConfig, LastBatch};
pub use canonical::FileCheck;
pub use config::DataConfig;
pub use dataset::{Dataset, evenly_spaced, scattered};
pub use error::{DataError, Result};
pub use grid::{Grid, GridBuilder, image_png, save_image};
pub use normalize::Range;
#[cfg(feature = "embedded")]
pub use sources::mnist_5k;
pub use sources::{Composed, Descriptor, ImageShape, Source, Split};
