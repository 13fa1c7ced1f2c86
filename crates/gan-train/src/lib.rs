#![doc = include_str!("../README.md")]

pub mod checkpoint;
mod config;
mod error;
mod fit;
mod loss;
mod observer;
mod optim;
mod phases;
mod trainer;

pub use config::{Horizon, Length, OptimizerConfig, TrainConfig};
pub use error::{Result, TrainError};
pub use fit::{Outcome, fit};
pub use loss::Loss;
pub use observer::{Observer, every};
pub use optim::Adam;
pub use phases::Phases;
pub use trainer::{StepReport, Trainer};
