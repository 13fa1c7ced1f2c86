//! What a configuration asks of the networks.

use super::TrainConfig;
use crate::error::{Result, TrainError};
use gan_models::{DiscriminatorNorm, Layer, ModelConfig};

impl TrainConfig {
    /// Checks that the networks of `model`, which are valid, can be trained in this way.
    ///
    /// # Errors
    /// A penalty on D's gradient where a layer of D has no second order, by the layer's name; weight clipping where spectral
    /// norm undoes it.
    pub fn validate_for(&self, model: &ModelConfig) -> Result<()> {
        if let Some(field) = self.penalty_on_gradient() {
            let layers = model.discriminator_layers();
            if let Some(reason) = layers.iter().find_map(Layer::refuses_penalties) {
                let problem = format!(
                    "no such penalty on this discriminator: {reason} (model.discriminator.norm = \"none\" and no minibatch-std)"
                );
                return Err(TrainError::config(field, problem));
            }
        }
        if self.weight_clip.is_some() && model.discriminator.norm == DiscriminatorNorm::Spectral {
            let problem = "expected none with model.discriminator.norm = \"spectral\", which undoes it";
            return Err(TrainError::config("train.weight-clip", problem));
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
