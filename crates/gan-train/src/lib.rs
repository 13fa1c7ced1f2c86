#![doc = include_str!("../README.md")]

mod augment;
pub mod checkpoint;
mod config;
mod ema;
mod error;
mod examples;
mod fit;
pub mod group;
mod init;
mod loss;
mod norms;
mod observer;
mod optim;
pub mod penalty;
mod phases;
mod schedule;
mod trainer;
mod views;

pub use augment::Augment;
pub use config::{Horizon, Length, OptimizerConfig, TrainConfig};
pub use ema::{Ema, EmaConfig};
pub use error::{Result, TrainError};
pub use examples::Examples;
pub use fit::{Outcome, fit};
pub use gan_ops::rng;
pub use init::{InitConfig, Initial};
pub use loss::Loss;
pub use norms::Norms;
pub use observer::{Observer, every};
pub use optim::{Algorithm, Optimizer};
pub use phases::Phases;
pub use schedule::{Schedule, Shape};
pub use trainer::{StepReport, Trainer};
pub use views::InstanceNoise;
