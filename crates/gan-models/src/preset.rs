//! The networks of well-known programs, by name. `configs/<name>.toml` holds each of them with
//! its training.

use crate::config::{
    Arch, DiscriminatorConfig, DiscriminatorInput, GeneratorConfig, HiddenActivation, ModelConfig,
};
use crate::latents::Distribution;

/// The DCGAN of the paper and the PyTorch tutorial for 64x64 RGB images, with channels
/// 512-256-128-64. Details that such programs often leave open are as in the paper: kernels 4,
/// stride 2, padding 1 (4/1/0 at the 1x1 end), no bias, weights from N(0, 0.02), and batch norm's
/// weights from N(1, 0.02).
#[must_use]
pub fn dcgan_64() -> ModelConfig {
    dcgan(64, 3, &[512, 256, 128, 64])
}

/// A light DCGAN for 28x28 gray images.
#[must_use]
pub fn dcgan_28() -> ModelConfig {
    let mut config = dcgan(28, 1, &[256, 128]);
    config.discriminator.widths = vec![64, 128];
    config
}

/// The MLP of the first tutorial: ReLU and Tanh, with three hidden layers.
#[must_use]
pub fn mlp_001() -> ModelConfig {
    mlp(100, &[128, 256, 512], HiddenActivation::Relu, DiscriminatorInput::Image)
}

/// The MLP of the second tutorial: LeakyReLU, with two hidden layers.
#[must_use]
pub fn mlp_002() -> ModelConfig {
    mlp(100, &[256, 512], HiddenActivation::LeakyRelu, DiscriminatorInput::Image)
}

/// The MLP of the third tutorial: the layers of the first one on flat vectors, with any latent
/// size.
#[must_use]
pub fn mlp_003(latent_dim: usize) -> ModelConfig {
    mlp(latent_dim, &[128, 256, 512], HiddenActivation::Relu, DiscriminatorInput::Flat)
}

fn mlp(
    latent_dim: usize,
    widths: &[usize],
    activation: HiddenActivation,
    input: DiscriminatorInput,
) -> ModelConfig {
    ModelConfig {
        arch: Arch::Mlp,
        latent_dim,
        latent: Distribution::Normal,
        channels: 1,
        image_size: 28,
        classes: None,
        sync_batch_norm: false,
        generator: GeneratorConfig::new(widths, activation),
        discriminator: DiscriminatorConfig { input, ..DiscriminatorConfig::new(&[512, 256]) },
    }
}

fn dcgan(image_size: usize, channels: usize, widths: &[usize]) -> ModelConfig {
    let mirrored: Vec<_> = widths.iter().rev().copied().collect();
    ModelConfig {
        arch: Arch::Dcgan,
        latent_dim: 100,
        latent: Distribution::Normal,
        channels,
        image_size,
        classes: None,
        sync_batch_norm: false,
        generator: GeneratorConfig::new(widths, HiddenActivation::Relu),
        discriminator: DiscriminatorConfig::new(&mirrored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;

    fn counts(config: &ModelConfig) -> (usize, usize) {
        config.validate().unwrap();
        let count = |layers: Vec<Layer>| layers.iter().map(Layer::parameters).sum();
        (count(config.generator_layers()), count(config.discriminator_layers()))
    }

    #[test]
    fn parameter_counts_are_the_originals() {
        assert_eq!(counts(&dcgan_64()), (3_576_704, 2_765_568));
        assert_eq!(counts(&ModelConfig { channels: 1, ..dcgan_64() }), (3_574_656, 2_763_520));
        assert_eq!(counts(&mlp_001()), (579_728, 533_505));
        assert_eq!(counts(&mlp_002()), (559_632, 533_505));
        assert_eq!(counts(&mlp_003(100)), (579_728, 533_505));
        assert_eq!(counts(&mlp_003(64)).0, 579_728 - 36 * 128);
        assert_eq!(counts(&dcgan_28()), (1_781_504, 138_624));
    }

    #[test]
    fn every_layer_takes_what_the_one_before_gives() {
        let mut all = vec![dcgan_64(), dcgan_28(), mlp_001(), mlp_002(), mlp_003(7)];
        for (size, widths) in [(32, vec![8, 4, 2]), (64, vec![8, 4, 2, 2]), (128, vec![8, 4, 2, 2, 2])] {
            all.push(dcgan(size, 3, &widths));
        }
        for config in all {
            config.validate().unwrap();
            let through = |layers: Vec<Layer>, input: Vec<usize>| {
                layers.iter().try_fold(input, |shape, layer| layer.output_shape(&shape)).unwrap()
            };
            let image = through(config.generator_layers(), config.generator_input());
            assert_eq!(image.iter().product::<usize>(), config.image_shape().iter().product::<usize>());
            let logit = through(config.discriminator_layers(), config.discriminator_input());
            assert_eq!(logit.iter().product::<usize>(), 1);
        }
    }

    #[test]
    fn mlp_001_reads_like_the_tutorial() {
        let lines: Vec<String> = mlp_001().generator_layers().iter().map(Layer::to_string).collect();
        assert_eq!(
            lines.join(", "),
            "Linear(100, 128), ReLU, Linear(128, 256), ReLU, Linear(256, 512), ReLU, Linear(512, 784), Tanh"
        );
    }
}
