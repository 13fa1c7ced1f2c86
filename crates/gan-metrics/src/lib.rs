#![doc = include_str!("../README.md")]

mod bins;
mod classes;
pub mod classifier;
mod error;
mod evaluation;
mod features;
mod frechet;
pub mod health;
pub mod inception;
mod kid;
mod manifold;
mod memorisation;
mod neighbours;
mod random;
mod rows;
mod sample;
mod triangle;

pub use bins::{Bins, Clusters};
pub use classes::{Accuracy, Classes, Modes, classifier_score};
pub use classifier::Classifier;
pub use error::{MetricsError, Result};
pub use evaluation::{Evaluation, NEIGHBOURS, Reference};
pub use features::{Features, Look};
pub use frechet::{Moments, frechet_distance};
pub use kid::{Kid, KidConfig, kid, squared_mmd};
pub use manifold::{Manifold, Overlap};
pub use memorisation::{Memorisation, TrainingImages};
pub use neighbours::{Neighbour, nearest, nearest_others};
pub use random::RandomNetwork;
pub use sample::Sample;
