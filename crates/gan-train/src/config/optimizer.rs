//! A player's optimizer.

use crate::error::{Result, TrainError};
use gan_ops::AdamHyper;
use serde::{Deserialize, Serialize};

/// PyTorch's default; the paper's too.
const ADAM_EPS: f64 = 1e-8;

/// One player's Adam.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// Step size.
    pub lr: f64,
    /// Decay of the first and of the second moment.
    pub betas: (f64, f64),
}

impl OptimizerConfig {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        if !(self.lr > 0. && self.lr.is_finite()) {
            return Err(TrainError::config(
                format!("{field}.lr"),
                format!("expected a positive number, found {}", self.lr),
            ));
        }
        for beta in [self.betas.0, self.betas.1] {
            if !(0. ..1.).contains(&beta) {
                return Err(TrainError::config(
                    format!("{field}.betas"),
                    format!("expected two numbers from 0 up to but not 1, found {beta}"),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn adam(&self) -> AdamHyper {
        AdamHyper { lr: self.lr, betas: self.betas, eps: ADAM_EPS }
    }
}
