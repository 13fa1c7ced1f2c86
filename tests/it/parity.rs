//! Agreement with PyTorch within 1e-5: forward passes, losses with the gradient of every parameter, ten
//! training steps.

use crate::golden::{Golden, images, latents, model, networks};
use candle_core::{Device, Tensor, Var};
use gan_models::{Mode, Params};
use gan_train::{Loss, OptimizerConfig, TrainConfig, Trainer};

const FORMS: [Loss; 2] = [Loss::NonSaturating, Loss::Minimax];

#[test]
fn forward_passes_of_every_preset() {
    let golden = Golden::open("forward");
    for preset in ["mlp-001", "mlp-002", "mlp-003", "dcgan-28", "dcgan-64"] {
        let config = model(preset);
        let (generator, discriminator) = networks(&config);
        let (z, x) = (latents(&config, "z", 4), images(&config, "x", 4));
        for (mode, name) in [(Mode::Eval, "eval"), (Mode::Train, "train")] {
            golden.compare(&format!("{preset}.generator.{name}"), &generator.forward(&z, mode).unwrap());
            golden.compare(
                &format!("{preset}.discriminator.{name}"),
                &discriminator.forward(&x, mode).unwrap(),
            );
        }
    }
}

#[test]
fn losses_and_every_gradient() {
    let golden = Golden::open("loss");
    logits(&golden);
    for preset in ["mlp-001", "mlp-002", "dcgan-28"] {
        let config = model(preset);
        let (generator, discriminator) = networks(&config);
        let fake = generator.forward(&latents(&config, "z", 4), Mode::Train).unwrap();
        let real_logits = discriminator.forward(&images(&config, "x", 4), Mode::Train).unwrap();
        let fake_logits = discriminator.forward(&fake.detach(), Mode::Train).unwrap();
        let d_loss = Loss::NonSaturating.discriminator(&real_logits, &fake_logits).unwrap();
        gradients(&golden, &format!("{preset}.discriminator"), &d_loss, discriminator.params());
        let frozen = discriminator.frozen().unwrap();
        for form in FORMS {
            let g_loss = form.generator(&frozen.forward(&fake, Mode::Train).unwrap()).unwrap();
            gradients(&golden, &format!("{preset}.generator.{form}"), &g_loss, generator.params());
        }
    }
}

fn gradients(golden: &Golden, name: &str, loss: &Tensor, params: &Params) {
    let grads = loss.backward().unwrap();
    for (parameter, var) in params.trainable() {
        golden.compare(&format!("{name}.{parameter}"), grads.get(var).unwrap());
    }
}

/// The losses alone, at logits from -100 to 100.
fn logits(golden: &Golden) {
    let values = [-100f32, -20., -3.5, -1., -0.1, 0., 0.1, 1., 3.5, 20., 100.];
    let var = |values: &[f32]| Var::new(values, &Device::Cpu).unwrap();
    let list = |loss: &Tensor, inputs: &[&Var]| -> Vec<f32> {
        let grads = loss.backward().unwrap();
        let of = |input: &&Var| grads.get(input).unwrap().to_vec1::<f32>().unwrap();
        let mut list: Vec<f32> = inputs.iter().flat_map(of).collect();
        list.push(loss.to_scalar().unwrap());
        list
    };
    for form in FORMS {
        let fake = var(&values);
        let loss = form.generator(&fake).unwrap();
        golden.compare_values(&format!("logits.generator.{form}"), &list(&loss, &[&fake]));
        let reversed: Vec<f32> = values.iter().rev().copied().collect();
        let (real, fake) = (var(&values), var(&reversed));
        let loss = form.discriminator(&real, &fake).unwrap();
        golden.compare_values("logits.discriminator", &list(&loss, &[&real, &fake]));
    }
}

#[test]
fn ten_training_steps() {
    let golden = Golden::open("steps");
    for (preset, betas) in [("mlp-001", (0.5, 0.999)), ("mlp-002", (0.9, 0.999)), ("dcgan-28", (0.5, 0.999))]
    {
        let config = model(preset);
        let (generator, discriminator) = networks(&config);
        let player = OptimizerConfig { lr: 2e-4, betas };
        let train = TrainConfig::new(10, player);
        let mut trainer = Trainer::from_parts(generator, discriminator, &train, 0).unwrap();
        let mut losses = vec![];
        for step in 0..10 {
            let real = images(&config, &format!("real.{step}"), 8);
            let z = latents(&config, &format!("z.{step}"), 8);
            let report = trainer.step_with(&real, &z).unwrap();
            losses.extend([report.d_loss, report.g_loss]);
        }
        golden.compare_values(&format!("{preset}.losses"), &losses);
        let (generator, discriminator) = (trainer.generator(), trainer.discriminator());
        for (player, params) in [("generator", generator.params()), ("discriminator", discriminator.params())]
        {
            for (name, tensor) in params.iter() {
                golden.compare(&format!("{preset}.{player}.{name}"), tensor);
            }
        }
    }
}
