//! How far a player moves, beside how large its weights are.

use crate::error::Result;
use crate::optim::Optimizer;
use gan_models::{Gradients, Params};

/// Euclidean norms over all trainable parameters of one player.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norms {
    /// Of the weights.
    pub weight: f64,
    /// Of the last step's gradient; 0 before the first.
    pub gradient: f64,
    /// Of the last step's update; 0 before the first.
    pub update: f64,
}

impl Norms {
    pub(crate) fn new(params: &Params, gradients: &Gradients, optimizer: &Optimizer) -> Result<Self> {
        Ok(Self { weight: params.norm()?, gradient: gradients.norm()?, update: optimizer.update_norm()? })
    }
}
