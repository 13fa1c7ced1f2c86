//! What a configuration asks of the networks.

use super::TrainConfig;
use crate::error::{Result, TrainError};
use gan_models::{Arch, DiscriminatorNorm, ModelConfig};

impl TrainConfig {
    /// Checks that the networks of `model` can be trained so.
    ///
    /// # Errors A penalty on D's gradient where a sample's logit depends on other samples; weight
    /// clipping where spectral norm undoes it.
    pub fn validate_for(&self, model: &ModelConfig) -> Result<()> {
        if let Some(field) = self.needs_lone_samples().filter(|_| couples_samples(model)) {
            let problem = "batch norm or minibatch standard deviation in the discriminator couples the samples, so that there \
                           is no gradient of one sample's logit: model.discriminator.norm = \"none\" and no minibatch-std";
            return Err(TrainError::config(field, problem));
        }
        if self.weight_clip.is_some() && model.discriminator.norm == Some(DiscriminatorNorm::Spectral) {
            let problem = "expected none with model.discriminator.norm = \"spectral\", which undoes it";
            return Err(TrainError::config("train.weight-clip", problem));
        }
        Ok(())
    }

    /// The key of a penalty that needs samples which do not depend on each other, if there is one.
    fn needs_lone_samples(&self) -> Option<&'static str> {
        [
            ("train.r1", self.r1.is_some()),
            ("train.r2", self.r2.is_some()),
            ("train.gradient-penalty", self.gradient_penalty.is_some()),
        ]
        .into_iter()
        .find_map(|(field, is_set)| is_set.then_some(field))
    }
}

/// Whether a sample's logit depends on the others in training, as `Discriminator::couples_samples`
/// says of a network that is built.
fn couples_samples(model: &ModelConfig) -> bool {
    let has_batch_norm = match model.discriminator.norm {
        Some(norm) => norm == DiscriminatorNorm::Batch,
        None => model.arch == Arch::Dcgan,
    };
    has_batch_norm || model.discriminator.minibatch_std.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_models::{Discriminator, preset};

    #[test]
    fn the_configuration_tells_what_the_network_would() {
        let mut dcgan = preset::dcgan_28();
        (dcgan.generator.widths, dcgan.discriminator.widths) = (vec![4, 4, 4], vec![4, 4, 4]);
        for arch in [Arch::Mlp, Arch::Dcgan, Arch::Residual] {
            let norms = [
                None,
                Some(DiscriminatorNorm::Batch),
                Some(DiscriminatorNorm::None),
                Some(DiscriminatorNorm::Spectral),
            ];
            for (norm, minibatch_std) in norms.into_iter().flat_map(|norm| [(norm, None), (norm, Some(2))]) {
                let mut model = dcgan.clone();
                model.arch = arch;
                (model.discriminator.norm, model.discriminator.minibatch_std) = (norm, minibatch_std);
                if model.validate().is_ok() {
                    let network = Discriminator::new(&model, 0, &Device::Cpu).unwrap();
                    assert_eq!(couples_samples(&model), network.couples_samples(), "{model:?}");
                }
            }
        }
    }
}
