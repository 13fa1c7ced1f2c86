//! Compares pixel norm, dropout and nearest-neighbour upsampling with PyTorch's values from
//! `tests/golden/layers.py`.

use crate::golden::{Golden, fill, images, latents, networks};
use gan_models::{
    Batch, Discriminator, DiscriminatorNorm, Draws, GeneratorNorm, ModelConfig, Upsampling, Wanted, preset,
};
use gan_train::penalty::zero_centered;
use gan_train::{OptimizerConfig, TrainConfig, Trainer};

const SEED: u64 = 3;
const DRAWS: Draws = Draws { seed: SEED, purpose: "test", update: 7, first: 0 };

fn config(change: impl FnOnce(&mut ModelConfig)) -> ModelConfig {
    let mut config = ModelConfig { latent_dim: 20, ..preset::dcgan_28() };
    (config.generator.widths, config.discriminator.widths) = (vec![16, 8], vec![8, 16]);
    config.discriminator.norm = DiscriminatorNorm::None;
    change(&mut config);
    config
}

#[test]
fn pixel_norm_dropout_and_nearest_neighbours() {
    let golden = Golden::open("layers");
    generator(&golden, "pixel-norm", &config(|c| c.generator.norm = GeneratorNorm::Pixel));
    generator(&golden, "nearest", &config(|c| c.generator.upsample = Upsampling::Nearest));
    let config = config(|c| c.discriminator.dropout = Some(0.3));
    dropout(&golden, &networks(&config).1);
    steps_with_dropout(&golden, &config);
}

fn generator(golden: &Golden, name: &str, config: &ModelConfig) {
    let (generator, _) = networks(config);
    let prepared = generator.prepare().unwrap();
    let z = generator.latents(&latents(config, "z.0", 4)).unwrap();
    let pass = prepared.forward(&z, Draws::default()).unwrap();
    golden.compare(&format!("{name}.images"), &pass.output().to_tensor().unwrap());
    let mut sums = generator.gradients();
    let gradient = Batch::new(&images(config, "to images", 4)).unwrap();
    pass.backward(&gradient, Some(&mut sums), Wanted::Nothing).unwrap();
    golden.compare_gradients(name, &sums, generator.params());
}

fn dropout(golden: &Golden, discriminator: &Discriminator) {
    let prepared = discriminator.prepare().unwrap();
    let x = Batch::new(&images(discriminator.config(), "x.0", 4)).unwrap();
    let compare = |name: &str, logits: Vec<f32>| golden.compare_values(name, &[&logits[..], &[0.]].concat());
    let evaluated = prepared.evaluate(&x).unwrap().to_tensor().unwrap();
    compare("dropout.evaluation", evaluated.flatten_all().unwrap().to_vec1().unwrap());
    let pass = prepared.forward(&x, DRAWS).unwrap();
    compare("dropout.logits", pass.logits().unwrap().to_vec1().unwrap());
    let mut sums = discriminator.gradients();
    let gradient = Batch::new(&fill("to logits", &[4], 1., 0.)).unwrap();
    pass.backward(&gradient, Some(&mut sums), Wanted::Nothing).unwrap();
    golden.compare_gradients("dropout", &sums, discriminator.params());

    let slope = prepared.forward(&x, DRAWS).unwrap().slope().unwrap();
    let penalty = zero_centered(10., &slope.gradient().squares().unwrap());
    golden.compare_values("dropout.penalty", &[penalty.value as f32, 0.]);
    let direction = slope.gradient().combine(&penalty.factors, None).unwrap();
    sums.clear();
    slope.backward(&direction, None, &mut sums).unwrap();
    golden.compare_gradients("dropout.penalty", &sums, discriminator.params());
}

/// Compares steps with the dropout masks that the trainer draws.
fn steps_with_dropout(golden: &Golden, config: &ModelConfig) {
    let (generator, discriminator) = networks(config);
    let player = OptimizerConfig::new(2e-3, (0.5, 0.999));
    let train = TrainConfig::new(5, player);
    let mut trainer = Trainer::from_parts(generator, discriminator, &train, SEED).unwrap();
    let mut losses = vec![];
    for step in 0..5 {
        let real = images(config, &format!("real.{step}"), 8);
        let report = trainer.step_with(&real, &latents(config, &format!("z.{step}"), 8)).unwrap();
        losses.extend([report.d_loss, report.g_loss]);
    }
    golden.compare_values("dropout.steps.losses", &losses);
    let (generator, discriminator) = (trainer.generator(), trainer.discriminator());
    for (player, params) in [("generator", generator.params()), ("discriminator", discriminator.params())] {
        for (parameter, var) in params.iter() {
            golden.compare(&format!("dropout.steps.{player}.{parameter}"), var);
        }
    }
}
