//! How large a player's weights, gradients and updates are.

use crate::error::Result;
use crate::optim::Optimizer;
use gan_models::{Gradients, Params};

/// Euclidean norms over all trainable parameters of one player.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norms {
    /// Norm of the weights.
    pub weight: f64,
    /// Norm of the last step's gradient. It is 0 before the first step.
    pub gradient: f64,
    /// Norm of the last step's update. It is 0 before the first step.
    pub update: f64,
}

impl Norms {
    pub(crate) fn new(params: &Params, gradients: &Gradients, optimizer: &Optimizer) -> Result<Self> {
        Ok(Self { weight: params.norm()?, gradient: gradients.norm()?, update: optimizer.update_norm()? })
    }
}
