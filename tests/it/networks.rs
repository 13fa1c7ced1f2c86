//! Compares networks other than the presets with PyTorch's values from `tests/golden/networks.py`.

use crate::golden::{Golden, fill, images, latents, networks};
use gan_models::{
    Arch, Batch, Discriminator, DiscriminatorConfig, DiscriminatorNorm, Draws, GeneratorConfig,
    HiddenActivation, ModelConfig, Wanted, preset,
};
use gan_train::penalty::zero_centered;
use gan_train::{Loss, OptimizerConfig, TrainConfig, Trainer};

const LABELS: [u16; 4] = [0, 1, 2, 3];

fn config(name: &str) -> ModelConfig {
    let mut config = ModelConfig { latent_dim: 20, ..preset::dcgan_28() };
    (config.generator.widths, config.discriminator.widths) = (vec![16, 8], vec![8, 16]);
    config.discriminator.norm = DiscriminatorNorm::None;
    match name {
        "residual" => ModelConfig {
            arch: Arch::Residual,
            classes: Some(4),
            generator: GeneratorConfig::new(&[16, 8, 8], HiddenActivation::LeakyRelu),
            discriminator: DiscriminatorConfig::new(&[8, 8, 16]),
            ..config
        },
        "deep" => {
            (config.generator.widths, config.discriminator.widths) = (vec![16, 12, 8], vec![8, 12, 16]);
            config
        }
        // Most recipes use this network.
        "deep-classes" => ModelConfig { classes: Some(4), ..self::config("deep") },
        "spectral" => {
            config.discriminator.norm = DiscriminatorNorm::Spectral;
            config
        }
        "minibatch-std" => {
            config.discriminator.minibatch_std = Some(2);
            config
        }
        "pack" => {
            config.discriminator.pack = 2;
            config
        }
        _ => panic!("no network {name}"),
    }
}

#[test]
fn passes_and_penalties_of_further_networks() {
    let golden = Golden::open("networks");
    for name in ["deep", "deep-classes", "residual", "spectral", "minibatch-std", "pack"] {
        let config = config(name);
        let (generator, discriminator) = networks(&config);
        let mut z = latents(&config, "z.0", 4);
        if config.classes.is_some() {
            z = config.latents().with_labels(&z, &LABELS).unwrap();
        }
        let prepared = generator.prepare().unwrap();
        let pass = prepared.forward(&generator.latents(&z).unwrap(), Draws::default()).unwrap();
        golden.compare(&format!("{name}.images"), &pass.output().to_tensor().unwrap());
        let mut sums = generator.gradients();
        let gradient = Batch::new(&images(&config, "to images", 4)).unwrap();
        pass.backward(&gradient, Some(&mut sums), Wanted::Nothing).unwrap();
        golden.compare_gradients(&format!("{name}.generator"), &sums, generator.params());

        discriminator.iterate_power().unwrap();
        of_discriminator(&golden, name, &discriminator);
    }
    steps_with_spectral_norm(&golden);
}

fn of_discriminator(golden: &Golden, name: &str, discriminator: &Discriminator) {
    let config = discriminator.config();
    let prepared = discriminator.prepare().unwrap();
    let x = Batch::new(&images(config, "x.0", 4)).unwrap();
    let forward = || {
        let pass = prepared.forward(&x, Draws::default()).unwrap();
        if config.classes.is_some() { pass.of_classes(&LABELS).unwrap() } else { pass }
    };
    let pass = forward();
    let logits: Vec<f32> = pass.logits().unwrap().to_vec1().unwrap();
    golden.compare_values(&format!("{name}.logits"), &[&logits[..], &[0.]].concat());
    let mut sums = discriminator.gradients();
    let gradient = Batch::new(&fill("to logits", &[logits.len()], 1., 0.)).unwrap();
    pass.backward(&gradient, Some(&mut sums), Wanted::Nothing).unwrap();
    golden.compare_gradients(&format!("{name}.discriminator"), &sums, discriminator.params());
    if discriminator.couples_samples() {
        return;
    }
    let slope = forward().slope().unwrap();
    let penalty = zero_centered(10., &slope.gradient().squares().unwrap());
    golden.compare_values(&format!("{name}.penalty"), &[penalty.value as f32, 0.]);
    let direction = slope.gradient().combine(&penalty.factors, None).unwrap();
    sums.clear();
    slope.backward(&direction, None, &mut sums).unwrap();
    golden.compare_gradients(&format!("{name}.penalty"), &sums, discriminator.params());
}

fn steps_with_spectral_norm(golden: &Golden) {
    let config = config("spectral");
    let (generator, discriminator) = networks(&config);
    let player = OptimizerConfig::new(2e-3, (0.5, 0.999));
    let train = TrainConfig { loss: Loss::Hinge, ..TrainConfig::new(5, player) };
    let mut trainer = Trainer::from_parts(generator, discriminator, &train, 0).unwrap();
    let mut losses = vec![];
    for step in 0..5 {
        let real = images(&config, &format!("real.{step}"), 8);
        let report = trainer.step_with(&real, &latents(&config, &format!("z.{step}"), 8)).unwrap();
        losses.extend([report.d_loss, report.g_loss]);
    }
    golden.compare_values("spectral.steps.losses", &losses);
    let (generator, discriminator) = (trainer.generator(), trainer.discriminator());
    for (player, params) in [("generator", generator.params()), ("discriminator", discriminator.params())] {
        for (parameter, var) in params.iter() {
            // networks.py states the reason.
            if player == "generator" || !parameter.ends_with("bias") {
                golden.compare(&format!("spectral.steps.{player}.{parameter}"), var);
            }
        }
    }
}
