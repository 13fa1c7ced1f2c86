//! Counts the floating-point operations that a training step needs by definition, whatever
//! algorithm computes it.

use gan_models::{Layer, ModelConfig};
use gan_train::TrainConfig;

/// Number of passes over a network's layers in one step.
struct Passes {
    /// Passes over every layer.
    all: f64,
    /// Passes over every layer except the first one with weights.
    but_first: f64,
}

/// Operations of the matrix products and convolutions in one step. A multiplication and its
/// addition count as two. Batch norm, activations, the loss and Adam are not counted. They add some
/// percent.
pub(super) fn of_step(model: &ModelConfig, train: &TrainConfig, batch: usize) -> f64 {
    let generator = products(&model.generator_layers(), model.generator_input());
    let discriminator = products(&model.discriminator_layers(), model.discriminator_input());
    let (d, g) = (train.d_steps as f64, train.g_steps as f64);
    // G runs forward for each batch of latents. Its own updates need the gradients of the weights
    // and of the input. The first layer does not need the gradient of its input, because the
    // latents depend on no weights.
    let of_g = Passes { all: d + g - 1. + g, but_first: g };
    // Each update of D needs, on real and on fake images: a forward pass, the gradient of the
    // weights, and the gradient of the input in every layer except the first. Each update of G
    // needs a forward pass and the gradient of the input in every layer, down to the images. A loss
    // of pairs also needs a forward pass on real images.
    let paired = if train.loss.is_paired() { g } else { 0. };
    let mut of_d = Passes { all: 4. * d + 2. * g + paired, but_first: 2. * d };
    // A penalty on the gradient also needs the gradient of the first layer's input, and a pass of a
    // tangent upwards through the network. A lazy penalty is not due in most updates. It is not
    // counted, because the reported time is that of most steps.
    for _ in train.r1.iter().chain(&train.r2).filter(|penalty| penalty.every == 1) {
        of_d.all += 2. * d;
        of_d.but_first -= d;
    }
    // This penalty has its own points: a forward pass, a backward pass, a tangent's pass, and the
    // gradient of the weights.
    of_d.all += if train.gradient_penalty.is_some() { 4. * d } else { 0. };
    // With packing, D takes several images as one sample.
    let multiplications = of_g.over(&generator) + of_d.over(&discriminator) / model.discriminator.pack as f64;
    2. * batch as f64 * multiplications
}

impl Passes {
    fn over(&self, products: &[usize]) -> f64 {
        let all: usize = products.iter().sum();
        let but_first = all - products.first().unwrap_or(&0);
        self.all * all as f64 + self.but_first * but_first as f64
    }
}

/// Multiplications of a forward pass over one sample, for each layer with weights. Each of a
/// layer's two gradients needs as many.
fn products(layers: &[Layer], input: Vec<usize>) -> Vec<usize> {
    let mut products = vec![];
    let mut shape = input;
    for layer in layers {
        products.extend(layer.multiplications(&shape));
        shape = layer.output_shape(&shape).unwrap_or_default();
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_models::{DiscriminatorNorm, preset};
    use gan_train::penalty::ZeroCentered;
    use gan_train::{Loss, OptimizerConfig};

    #[test]
    fn steps_of_the_presets_cost_what_they_do_by_hand() {
        let mut train = TrainConfig::new(1, OptimizerConfig::new(1., (0., 0.)));
        let gflop = |model: &ModelConfig| of_step(model, &train, 64) / 1e9;
        for (model, expected) in
            [(preset::mlp_001(), 0.663), (preset::dcgan_28(), 17.1), (preset::dcgan_64(), 146.)]
        {
            let found = gflop(&model);
            assert!((found / expected - 1.).abs() < 0.005, "{found} for {expected}");
        }
        // The layers 100-128-256-512-784 and 784-512-256-1.
        let generator = 12_800 + 32_768 + 131_072 + 401_408;
        let discriminator = 401_408 + 131_072 + 256;
        let by_hand = 3 * generator - 12_800 + 8 * discriminator - 2 * 401_408;
        assert!((of_step(&preset::mlp_001(), &train, 1) - 2. * f64::from(by_hand)).abs() < 0.5);
        // Two more updates of D: each has a forward pass of G, and six passes over D. Two of the
        // six skip D's first layer.
        train.d_steps = 3;
        let by_hand = by_hand + 2 * (generator + 6 * discriminator - 2 * 401_408);
        assert!((of_step(&preset::mlp_001(), &train, 1) - 2. * f64::from(by_hand)).abs() < 0.5);
    }

    #[test]
    fn penalties_pairs_and_packs_cost_what_they_do_by_hand() {
        let mut model = preset::mlp_001();
        let (g, d) = (12_800 + 32_768 + 131_072 + 401_408, [401_408, 131_072 + 256]);
        let of_g = 3 * g - 12_800;
        let adam = OptimizerConfig::new(2e-4, (0.5, 0.999));
        let mut train = TrainConfig::new(1, adam);
        let check = |model: &ModelConfig, train: &TrainConfig, by_hand: usize| {
            assert!((of_step(model, train, 4) - 8. * by_hand as f64).abs() < 0.5);
        };
        // Real and fake images each need a forward pass, a backward pass to the images, a tangent's
        // pass and the weights' gradient. G's update needs a forward and a backward pass, and a
        // forward pass on real images.
        train.loss = Loss::Relativistic;
        (train.r1, train.r2) = (Some(ZeroCentered::new(1.)), Some(ZeroCentered::new(1.)));
        check(&model, &train, of_g + (4 + 4 + 3) * (d[0] + d[1]));
        // Lazy penalties are not due in most steps.
        (train.r1, train.r2) = (Some(ZeroCentered { every: 16, ..ZeroCentered::new(1.) }), None);
        check(&model, &train, of_g + (4 + 3) * d[0] + (6 + 3) * d[1]);
        // Half as many samples, with twice the channels.
        (train.r1, train.loss) = (None, Loss::NonSaturating);
        model.discriminator.pack = 2;
        check(&model, &train, of_g + 6 * d[0] + 8 * d[1] / 2);
        model.discriminator.norm = DiscriminatorNorm::Spectral;
        check(&model, &train, of_g + 6 * d[0] + 8 * d[1] / 2);
    }

    #[test]
    fn a_convolution_counts_the_pixels_of_its_smaller_side() {
        let model = preset::dcgan_28();
        assert_eq!(
            products(&model.generator_layers(), model.generator_input()),
            [100 * 256 * 49, 256 * 128 * 16 * 49, 128 * 16 * 196]
        );
        assert_eq!(
            products(&model.discriminator_layers(), model.discriminator_input()),
            [64 * 16 * 196, 64 * 128 * 16 * 49, 128 * 49]
        );
    }
}
