//! Compares results with PyTorch's within 1e-5: forward passes, losses and penalties with their
//! gradients, and training steps with each loss, penalty and optimizer.

use crate::golden::{Golden, images, latents, model, networks};
use candle_core::{Device, Tensor, Var};
use gan_models::{Batch, Draws, Mode, Params};
use gan_train::penalty::{OneCentered, Points, ZeroCentered, one_centered, zero_centered};
use gan_train::{Algorithm, Loss, OptimizerConfig, Schedule, Shape, TrainConfig, Trainer};

const FORMS: [Loss; 2] = [Loss::NonSaturating, Loss::Minimax];

#[test]
fn forward_passes_of_every_preset() {
    let golden = Golden::open("forward");
    for preset in ["mlp-001", "mlp-002", "mlp-003", "dcgan-28", "dcgan-64"] {
        let config = model(preset);
        let (generator, discriminator) = networks(&config);
        let (z, x) = (latents(&config, "z", 4), images(&config, "x", 4));
        for (mode, name) in [(Mode::Eval, "eval"), (Mode::Train(Draws::default()), "train")] {
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
        let fake = generator.forward(&latents(&config, "z", 4), Mode::Train(Draws::default())).unwrap();
        let real_logits =
            discriminator.forward(&images(&config, "x", 4), Mode::Train(Draws::default())).unwrap();
        let fake_logits = discriminator.forward(&fake.detach(), Mode::Train(Draws::default())).unwrap();
        let d_loss = Loss::NonSaturating.discriminator(&real_logits, &fake_logits, 0.).unwrap();
        gradients(&golden, &format!("{preset}.discriminator"), &d_loss, discriminator.params());
        for form in FORMS {
            let logits = discriminator.forward(&fake, Mode::Train(Draws::default())).unwrap();
            let g_loss = form.generator(&real_logits, &logits).unwrap();
            gradients(&golden, &format!("{preset}.generator.{form}"), &g_loss, generator.params());
        }
    }
}

fn gradients(golden: &Golden, name: &str, loss: &Tensor, params: &Params) {
    let grads = loss.backward().unwrap();
    for (parameter, var) in params.trained() {
        golden.compare(&format!("{name}.{parameter}"), grads.get(var).unwrap());
    }
}

const LOGITS: [f32; 11] = [-100., -20., -3.5, -1., -0.1, 0., 0.1, 1., 3.5, 20., 100.];

fn var(values: impl Iterator<Item = f32>) -> Var {
    Var::new(values.collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

/// The value, and the gradients with respect to the inputs.
fn list(loss: &Tensor, inputs: &[&Var]) -> Vec<f32> {
    let grads = loss.backward().unwrap();
    let of = |input: &&Var| match grads.get(input) {
        Some(gradient) => gradient.to_vec1::<f32>().unwrap(),
        None => vec![0.; input.elem_count()],
    };
    let mut list: Vec<f32> = inputs.iter().flat_map(of).collect();
    list.push(loss.to_scalar().unwrap());
    list
}

/// Compares the losses alone, at logits from -100 to 100.
fn logits(golden: &Golden) {
    for form in FORMS {
        let fake = var(LOGITS.into_iter());
        let loss = form.generator(&fake, &fake).unwrap();
        golden.compare_values(&format!("logits.generator.{form}"), &list(&loss, &[&fake]));
        let (real, fake) = (var(LOGITS.into_iter()), var(LOGITS.into_iter().rev()));
        let loss = form.discriminator(&real, &fake, 0.).unwrap();
        golden.compare_values("logits.discriminator", &list(&loss, &[&real, &fake]));
    }
}

#[test]
fn objectives_penalties_and_steps_with_them() {
    let golden = Golden::open("objectives");
    let both = || (var(LOGITS.into_iter()), var(LOGITS.into_iter().rev()));
    let (real, fake) = both();
    let smoothed = Loss::NonSaturating.discriminator(&real, &fake, 0.1).unwrap();
    golden.compare_values("logits.smoothed.discriminator", &list(&smoothed, &[&real, &fake]));
    for loss in [Loss::LeastSquares, Loss::Wasserstein, Loss::Hinge, Loss::Relativistic] {
        let (real, fake) = both();
        let of_d = loss.discriminator(&real, &fake, 0.).unwrap();
        golden.compare_values(&format!("logits.{loss}.discriminator"), &list(&of_d, &[&real, &fake]));
        let of_g = loss.generator(&real, &fake).unwrap();
        golden.compare_values(&format!("logits.{loss}.generator"), &list(&of_g, &[&real, &fake]));
    }
    for name in ["mlp-002", "dcgan-28-without-norm"] {
        penalties(&golden, name);
    }
    steps(&golden, "mlp-002", Loss::LeastSquares, |_| ());
    steps(&golden, "mlp-002", Loss::Wasserstein, |train| train.weight_clip = Some(0.05));
    steps(&golden, "mlp-002", Loss::Hinge, |_| ());
    for name in ["mlp-002", "dcgan-28-without-norm"] {
        steps(&golden, name, Loss::Relativistic, |train| {
            let zero_centered = ZeroCentered::new(30.);
            (train.r1, train.r2) = (Some(zero_centered), Some(zero_centered));
        });
    }
    gradient_penalties(&golden);
    ways_of_training(&golden);
}

/// Compares penalties on the gradient at given points, and the gradients of all weights.
fn penalties(golden: &Golden, name: &str) {
    let config = model(name);
    let (_, discriminator) = networks(&config);
    let prepared = discriminator.prepare().unwrap();
    let batch = |name: &str| Batch::new(&images(&config, name, 4)).unwrap();
    let places = [0.05, 0.3, 0.55, 0.85];
    let interpolates =
        batch("x").combine(&places, Some((&batch("y"), &places.map(|place| 1. - place)))).unwrap();
    for (penalty, points) in [("zero-centered", batch("x")), ("one-centered", interpolates)] {
        let slope = prepared.forward(&points, Draws::default()).unwrap().slope().unwrap();
        let squares = slope.gradient().squares().unwrap();
        let found = match penalty {
            "zero-centered" => zero_centered(300., &squares),
            _ => one_centered(10., &squares),
        };
        golden.compare_values(&format!("{name}.{penalty}.value"), &[found.value as f32, 0.]);
        let direction = slope.gradient().combine(&found.factors, None).unwrap();
        let mut sums = discriminator.gradients();
        slope.backward(&direction, None, &mut sums).unwrap();
        golden.compare_gradients(&format!("{name}.{penalty}"), &sums, discriminator.params());
    }
}

/// Compares five training steps with Adam.
fn steps(golden: &Golden, name: &str, loss: Loss, change: impl Fn(&mut TrainConfig)) {
    let player = OptimizerConfig::new(2e-4, (0.5, 0.999));
    let mut train = TrainConfig { loss, ..TrainConfig::new(5, player) };
    change(&mut train);
    // Some gradients cancel except for rounding, and Adam turns the rounding into a full step.
    // objectives.py says which.
    let cancels = loss != Loss::LeastSquares;
    compare_steps(golden, &format!("steps.{name}.{loss}"), name, &train, cancels);
}

fn compare_steps(golden: &Golden, prefix: &str, name: &str, train: &TrainConfig, without_biases_of_d: bool) {
    let config = model(name);
    let (generator, discriminator) = networks(&config);
    let mut trainer = Trainer::from_parts(generator, discriminator, train, 0).unwrap();
    let (d_steps, g_steps) = (train.d_steps as usize, train.g_steps as usize);
    let mut losses = vec![];
    for step in 0..train.steps.unwrap() {
        let real = images(&config, &format!("real.{step}"), d_steps * 8);
        let z = latents(&config, &format!("z.{step}"), (d_steps + g_steps - 1) * 8);
        let report = trainer.step_with(&real, &z).unwrap();
        losses.extend([report.d_loss, report.g_loss]);
    }
    golden.compare_values(&format!("{prefix}.losses"), &losses);
    let (generator, discriminator) = (trainer.generator(), trainer.discriminator());
    for (player, params) in [("generator", generator.params()), ("discriminator", discriminator.params())] {
        for (parameter, var) in params.trained() {
            if !(without_biases_of_d && player == "discriminator" && parameter.ends_with("bias")) {
                golden.compare(&format!("{prefix}.{player}.{parameter}"), var);
            }
        }
    }
}

/// Compares five steps of WGAN-GP and of DRAGAN, at the points that the trainer draws.
fn gradient_penalties(golden: &Golden) {
    let train = TrainConfig::new(5, OptimizerConfig::new(2e-4, (0., 0.9)));
    let compare = |name: &str, at, train: TrainConfig| {
        let train = TrainConfig { gradient_penalty: Some(OneCentered { weight: 10., at }), ..train };
        compare_steps(golden, name, "mlp-002", &train, true);
    };
    compare("wgan-gp", Points::Interpolates, TrainConfig { loss: Loss::Wasserstein, ..train.clone() });
    compare("dragan", Points::AroundReal, TrainConfig { label_smoothing: 0.1, ..train });
}

/// Compares other optimizers, changing settings, several updates per step, and lazy penalties.
fn ways_of_training(golden: &Golden) {
    let compare = |name: &str, train: &TrainConfig| compare_steps(golden, name, "mlp-002", train, true);
    let rmsprop = OptimizerConfig { optimizer: Algorithm::Rmsprop, ..OptimizerConfig::new(2e-4, (0., 0.99)) };
    let mut train = TrainConfig { loss: Loss::Wasserstein, ..TrainConfig::new(5, rmsprop) };
    train.weight_clip = Some(0.05);
    compare("rmsprop", &train);

    let changing = |shape| {
        let to = |to| Some(Schedule { to, over_kimg: 0.032, shape, warm_up_kimg: 0. });
        let constant = OptimizerConfig::new(2e-4, (0.5, 0.9));
        OptimizerConfig { lr_schedule: to(5e-5), beta2_schedule: to(0.99), ..constant }
    };
    let mut train = TrainConfig { loss: Loss::LeastSquares, ..TrainConfig::new(6, changing(Shape::Cosine)) };
    train.discriminator = changing(Shape::Linear);
    compare("schedules", &train);

    let adam = OptimizerConfig::new(2e-4, (0.5, 0.999));
    let mut train = TrainConfig { loss: Loss::Relativistic, ..TrainConfig::new(3, adam) };
    (train.d_steps, train.g_steps) = (2, 2);
    compare("several", &train);

    let adam = OptimizerConfig::new(2e-4, (0., 0.99));
    let mut train = TrainConfig { loss: Loss::Relativistic, ..TrainConfig::new(7, adam) };
    let penalty = |gamma, every| Some(ZeroCentered { every, ..ZeroCentered::new(gamma) });
    (train.r1, train.r2) = (penalty(30., 2), penalty(10., 3));
    compare("lazy", &train);
}

#[test]
fn ten_training_steps() {
    let golden = Golden::open("steps");
    for (preset, betas) in [("mlp-001", (0.5, 0.999)), ("mlp-002", (0.9, 0.999)), ("dcgan-28", (0.5, 0.999))]
    {
        let config = model(preset);
        let (generator, discriminator) = networks(&config);
        let player = OptimizerConfig::new(2e-4, betas);
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
