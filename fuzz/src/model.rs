//! The small networks of the targets that read weights. Their files have about a thousand bytes.

use candle_core::Device;
use gan_models::{ModelConfig, preset};
use gan_train::{OptimizerConfig, TrainConfig, Trainer};

/// An MLP for images of 2x2 pixels.
pub fn model() -> ModelConfig {
    let mut model = preset::mlp_003(2);
    model.image_size = 2;
    model.generator.widths = vec![2];
    model.discriminator.widths = vec![2];
    model
}

/// Its training.
pub fn train() -> TrainConfig {
    TrainConfig::new(20, OptimizerConfig::new(1e-3, (0.5, 0.999)))
}

/// A trainer of [`model`].
pub fn trainer() -> Trainer {
    Trainer::new(&model(), &train(), 1, &Device::Cpu).expect("a model of this file")
}
