//! The configuration of a player's optimizer.

use super::is_default;
use crate::error::{Result, TrainError};
use crate::optim::Algorithm;
use crate::schedule::{Range, Schedule, at};
use gan_ops::AdamHyper;
use serde::{Deserialize, Serialize};

/// PyTorch's default for both algorithms. The paper of Adam has the same value.
const EPS: f64 = 1e-8;

/// One player's optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// The algorithm that turns a gradient into a step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optimizer: Algorithm,
    /// Step size.
    pub lr: f64,
    /// How the step size changes from `lr`. It stays the same if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_schedule: Option<Schedule>,
    /// Decay of the first and of the second moment. `RMSprop` has no first moment, and PyTorch
    /// calls the second number alpha.
    pub betas: (f64, f64),
    /// How the second of `betas` changes. It stays the same if absent. The bias of the second
    /// moment is corrected with the present value, as in PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta2_schedule: Option<Schedule>,
}

impl OptimizerConfig {
    /// Adam with constant settings.
    #[must_use]
    pub fn new(lr: f64, betas: (f64, f64)) -> Self {
        Self { optimizer: Algorithm::Adam, lr, lr_schedule: None, betas, beta2_schedule: None }
    }

    /// The same settings with another rate. The end of its schedule changes in proportion.
    #[must_use]
    pub fn with_lr(mut self, lr: f64) -> Self {
        if let Some(schedule) = &mut self.lr_schedule {
            schedule.to *= lr / self.lr;
        }
        self.lr = lr;
        self
    }

    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        Range::Positive.check(&format!("{field}.lr"), self.lr)?;
        for beta in [self.betas.0, self.betas.1] {
            if !(0. ..1.).contains(&beta) {
                return Err(TrainError::config(
                    format!("{field}.betas"),
                    format!("expected two numbers from 0 up to but not 1, found {beta}"),
                ));
            }
        }
        if self.optimizer == Algorithm::Rmsprop && self.betas.0 != 0. {
            let (beta1, beta2) = self.betas;
            return Err(TrainError::config(
                format!("{field}.betas"),
                format!(
                    "expected [0, {beta2:?}] for rmsprop, which has no first moment, found [{beta1:?}, \
                     {beta2:?}]"
                ),
            ));
        }
        if let Some(schedule) = &self.lr_schedule {
            schedule.validate(&format!("{field}.lr-schedule"), Range::NotNegative)?;
        }
        if let Some(schedule) = &self.beta2_schedule {
            schedule.validate(&format!("{field}.beta2-schedule"), Range::Decay)?;
        }
        Ok(())
    }

    /// The settings after `images` real images.
    pub(crate) fn hyper(&self, images: u64) -> AdamHyper {
        let (beta1, beta2) = self.betas;
        AdamHyper {
            lr: at(self.lr, self.lr_schedule, images),
            betas: (beta1, at(beta2, self.beta2_schedule, images)),
            eps: EPS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    #[test]
    fn another_rate_goes_the_same_way() {
        let schedule = Schedule { to: 1e-4, over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. };
        let player = OptimizerConfig {
            lr_schedule: Some(schedule),
            beta2_schedule: Some(Schedule { to: 0.99, ..schedule }),
            ..OptimizerConfig::new(3e-4, (0.5, 0.9))
        };
        let halved = player.with_lr(player.lr / 2.);
        for images in [0, 250, 1000, 5000] {
            let (before, after) = (player.hyper(images), halved.hyper(images));
            assert!((before.lr / 2. - after.lr).abs() < 1e-18 && before.betas == after.betas);
        }
        assert_eq!(player.hyper(500).betas, (0.5, f64::midpoint(0.9, 0.99)));
        // A second call must change nothing, because a crash may have left part of the work done.
        assert_eq!(halved.with_lr(halved.lr), halved);
    }
}
