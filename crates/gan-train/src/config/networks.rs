//! What a training configuration requires of the networks.

use super::TrainConfig;
use crate::error::{Result, TrainError};
use gan_models::{DiscriminatorNorm, Layer, ModelConfig};

impl TrainConfig {
    /// Checks that the networks of `model` can be trained with this configuration. `model` must
    /// be valid.
    ///
    /// # Errors
    /// A penalty on D's gradient, if a layer of D has no second order (the error names the
    /// layer); weight clipping with spectral norm, which would undo it; batch norm over all ranks, if a
    /// batch is divided into parts.
    pub fn validate_for(&self, model: &ModelConfig) -> Result<()> {
        if let Some(field) = self.penalty_on_gradient() {
            let layers = model.discriminator_layers();
            if let Some(reason) = layers.iter().find_map(Layer::refuses_penalties) {
                let problem = format!(
                    "no such penalty on this discriminator: {reason} (model.discriminator.norm = \
                     \"none\" and no minibatch-std)"
                );
                return Err(TrainError::config(field, problem));
            }
        }
        if self.weight_clip.is_some() && model.discriminator.norm == DiscriminatorNorm::Spectral {
            let problem = "expected none with model.discriminator.norm = \"spectral\", which undoes it";
            return Err(TrainError::config("train.weight-clip", problem));
        }
        if model.sync_batch_norm && self.accumulate > 1 {
            let problem = "expected 1 with model.sync-batch-norm: batch norm needs the whole batch at once";
            return Err(TrainError::config("train.accumulate", problem));
        }
        Ok(())
    }

    /// The key of a penalty on D's gradient, if there is one.
    fn penalty_on_gradient(&self) -> Option<&'static str> {
        [
            ("train.r1", self.r1.is_some()),
            ("train.r2", self.r2.is_some()),
            ("train.gradient-penalty", self.gradient_penalty.is_some()),
        ]
        .into_iter()
        .find_map(|(field, is_set)| is_set.then_some(field))
    }
}
