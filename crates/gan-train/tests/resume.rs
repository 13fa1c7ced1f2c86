//! What a run must be: the paper's step, reproducible, resumable bit for bit.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use candle_core::{Device, Tensor};
use gan_models::{
    Discriminator, DiscriminatorNorm, Distribution, Generator, ModelConfig, Provenance, preset,
};
use gan_ops::rng::Stream;
use gan_train::penalty::{OneCentered, Points, ZeroCentered};
use gan_train::{
    Algorithm, Augment, EmaConfig, Examples, InstanceNoise, Loss, OptimizerConfig, Outcome, Schedule, Shape,
    TrainConfig, TrainError, Trainer, checkpoint, fit,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn model() -> ModelConfig {
    let mut model = preset::dcgan_28();
    (model.latent_dim, model.generator.widths, model.discriminator.widths) = (8, vec![8, 4], vec![4, 8]);
    model
}

fn train() -> TrainConfig {
    let player = OptimizerConfig::new(1e-3, (0.5, 0.999));
    TrainConfig::new(20, player)
}

fn batch(step: u64) -> gan_train::Result<Tensor> {
    Ok(Stream::new(9, "data", step).uniform(-1., 1., (6, 1, 28, 28), &Device::Cpu)?)
}

fn trainer(seed: u64) -> Trainer {
    Trainer::new(&model(), &train(), seed, &Device::Cpu).unwrap()
}

fn save(directory: &Path, trainer: &Trainer, keep: usize) -> std::path::PathBuf {
    let (provenance, notes) = (Provenance::default(), Value::from("note"));
    let saved = checkpoint::save(directory, trainer, &provenance, &BTreeMap::new(), 1.5, notes).unwrap();
    checkpoint::prune(&saved, keep, &[]).unwrap();
    saved
}

fn load(path: &Path) -> gan_train::Result<(Trainer, checkpoint::State)> {
    checkpoint::load(path, &model(), &train(), 3, &BTreeMap::new(), &Device::Cpu)
}

/// Every bit of a trainer that a later step depends on.
fn bits(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let of = |tensor: &Tensor| -> Vec<u32> {
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let weights = trainer.generator().params().iter().chain(trainer.discriminator().params().iter());
    let mut all: Vec<_> = weights.map(|(name, var)| (name.to_owned(), of(var))).collect();
    let moments = trainer.optimizer_g().moments().into_iter().chain(trainer.optimizer_d().moments());
    all.extend(moments.map(|(name, tensor)| (name, of(&tensor))));
    all
}

#[test]
fn twenty_steps_are_ten_and_a_resume_and_ten() {
    let directory = tempfile::tempdir().unwrap();
    let mut unbroken = trainer(3);
    assert_eq!(fit(&mut unbroken, 20, batch, &mut []).unwrap(), Outcome::Complete);

    let mut first = trainer(3);
    fit(&mut first, 10, batch, &mut []).unwrap();
    let path = save(directory.path(), &first, 2);
    let (mut second, state) = load(&path).unwrap();
    assert_eq!((state.step, state.seconds, state.notes), (10, 1.5, Value::from("note")));
    fit(&mut second, 20, batch, &mut []).unwrap();

    assert_eq!(bits(&unbroken), bits(&second));
    assert_ne!(bits(&unbroken), bits(&first));
}

#[test]
fn each_optimizer_moves_its_own_player_only() {
    let (generator, discriminator) = {
        let model = model();
        (
            Generator::new(&model, 1, &Device::Cpu).unwrap(),
            Discriminator::new(&model, 1, &Device::Cpu).unwrap(),
        )
    };
    let weights = |params: &gan_models::Params| -> Vec<Vec<f32>> {
        params.trainable().map(|(_, v)| v.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    // A learning rate so small that one player stands still, while the other takes a step.
    let still = OptimizerConfig::new(f64::MIN_POSITIVE, (0.5, 0.999));
    for frozen_generator in [true, false] {
        let mut config = train();
        if frozen_generator {
            config.generator = still;
        } else {
            config.discriminator = still;
        }
        let mut trainer = Trainer::from_parts(generator.clone(), discriminator.clone(), &config, 1).unwrap();
        let (g, d) = (weights(generator.params()), weights(discriminator.params()));
        trainer.step(batch(0).unwrap()).unwrap();
        assert_eq!(g == weights(generator.params()), frozen_generator);
        assert_eq!(d == weights(discriminator.params()), !frozen_generator);
    }
}

#[test]
fn old_checkpoints_go_and_damaged_ones_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut trainer = trainer(3);
    assert_eq!(checkpoint::newest(directory.path()).unwrap(), None);
    let mut paths = vec![];
    for steps in 1..=4 {
        fit(&mut trainer, steps, batch, &mut []).unwrap();
        paths.push(save(directory.path(), &trainer, 2));
    }
    assert!(!paths[0].exists() && !paths[1].exists() && paths[2].exists());
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[3]));

    // What a crash leaves is swept; a file that lost its end makes its checkpoint a damaged one.
    let leftover = directory.path().join(".tmp-crash");
    std::fs::create_dir(&leftover).unwrap();
    let file = paths[3].join("optimizer.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 4]).unwrap();
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[2]));
    assert!(!leftover.exists());
    let message = load(&paths[3]).unwrap_err().to_string();
    assert!(message.contains("optimizer.safetensors: damaged: expected SHA-256"), "{message}");

    // Step 4 is written again over the damaged one, and step 3 is not lost for it.
    let (mut again, _) = load(&paths[2]).unwrap();
    fit(&mut again, 4, batch, &mut []).unwrap();
    save(directory.path(), &again, 2);
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[3]));
    assert!(paths[2].exists());

    for path in &paths[2..] {
        std::fs::remove_file(path.join("state.json")).unwrap();
    }
    assert!(checkpoint::newest(directory.path()).is_err());
}

#[test]
fn another_runs_checkpoint_is_refused_by_the_key_that_differs() {
    let directory = tempfile::tempdir().unwrap();
    let settings = |lr: &str| BTreeMap::from([("train.generator.lr".to_owned(), lr.to_owned())]);
    let path = checkpoint::save(
        directory.path(),
        &trainer(3),
        &Provenance::default(),
        &settings("0.0002"),
        0.,
        Value::Null,
    )
    .unwrap();
    let error = checkpoint::load(&path, &model(), &train(), 3, &settings("0.1"), &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("train.generator.lr was 0.0002 in the run to resume, the configuration says 0.1"),
        "{error}"
    );
}

#[test]
fn numbers_that_left_the_finite_are_named_and_never_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut trainer = trainer(3);
    let nan = Tensor::full(f32::NAN, (6, 1, 28, 28), &Device::Cpu).unwrap();
    let error = trainer.step(&nan).unwrap_err().to_string();
    assert!(error.starts_with("step 1: d_loss = NaN is not finite"), "{error}");

    let weight = trainer.generator().params().get("model.3.weight").unwrap();
    weight.set(&Tensor::full(f32::INFINITY, weight.shape(), &Device::Cpu).unwrap()).unwrap();
    let saved = checkpoint::save(
        directory.path(),
        &trainer,
        &Provenance::default(),
        &BTreeMap::new(),
        0.,
        Value::Null,
    );
    assert!(matches!(&saved, Err(TrainError::NonFinite { what, .. }) if what == "generator model.3.weight"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let error = trainer.step(batch(0).unwrap()).unwrap_err().to_string();
    assert!(error.contains("the first broken tensor is generator model.3.weight"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("in-the-way");
    std::fs::write(&file, "").unwrap();
    let error = checkpoint::save(
        &file.join("checkpoints"),
        &trainer(3),
        &Provenance::default(),
        &BTreeMap::new(),
        0.,
        Value::Null,
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("in-the-way/checkpoints/step-00000000"), "{error}");
}

#[test]
fn healthy_states_are_kept_to_go_back_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut trainer = trainer(3);
    let steps = || {
        let names = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut steps: Vec<u64> = names.map(|n| n.trim_start_matches("step-").parse().unwrap()).collect();
        steps.sort_unstable();
        steps
    };
    for step in 0..6 {
        trainer.step(batch(step).unwrap()).unwrap();
        let settings = BTreeMap::from([("lr".to_owned(), "1".to_owned())]);
        let provenance = Provenance::default();
        let path =
            checkpoint::save(directory.path(), &trainer, &provenance, &settings, 0., Value::Null).unwrap();
        // 1 is the way back to 1 and, as nothing is nearer, to 0 there is none.
        checkpoint::prune(&path, 2, &[0, 1, 3, 4]).unwrap();
    }
    assert_eq!(steps(), [1, 3, 4, 5, 6]);
    let at = |step: u64| Some(directory.path().join(format!("step-{step:08}")));
    let newest = |until| checkpoint::newest_until(directory.path(), until).unwrap();
    assert_eq!((newest(2), newest(4)), (at(1), at(4)));
    // The run goes on with other settings, and only with those; twice is as good as once.
    let settings = |lr: &str| BTreeMap::from([("lr".to_owned(), lr.to_owned())]);
    for _ in 0..2 {
        checkpoint::go_back(directory.path(), 3, &settings("0.5")).unwrap();
        assert_eq!(steps(), [1, 3]);
        for path in [at(1).unwrap(), at(3).unwrap()] {
            assert!(checkpoint::check(&path, &settings("0.5")).is_ok());
            assert!(matches!(checkpoint::check(&path, &settings("1")), Err(TrainError::Mismatch { .. })));
        }
    }
}

#[test]
fn an_average_and_penalties_go_on_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let (mut model, mut train) = (model(), train());
    let refused =
        TrainConfig { r1: Some(ZeroCentered { every: 2, ..ZeroCentered::new(1.) }), ..train.clone() };
    let problem = Trainer::new(&model, &refused, 3, &Device::Cpu).unwrap_err().to_string();
    assert!(
        problem.contains("train.r1: batch norm or minibatch standard deviation in the discriminator couples"),
        "{problem}"
    );

    model.discriminator.norm = Some(DiscriminatorNorm::None);
    train.loss = Loss::Relativistic;
    train.r1 = refused.r1;
    train.gradient_penalty = Some(OneCentered { weight: 10., at: Points::Interpolates });
    train.ema = Some(EmaConfig { ramp_up: Some(0.05), ..EmaConfig::new(0.05) });
    let start = || Trainer::new(&model, &train, 3, &Device::Cpu).unwrap();
    let mut unbroken = start();
    let mut penalties = vec![];
    for step in 0..6 {
        penalties.push(unbroken.step(batch(step).unwrap()).unwrap().penalty);
    }
    assert!(penalties.iter().all(|penalty| *penalty > 0.), "{penalties:?}");

    let mut first = start();
    fit(&mut first, 3, batch, &mut []).unwrap();
    let path = save(directory.path(), &first, 2);
    let (mut second, _) = checkpoint::load(&path, &model, &train, 3, &BTreeMap::new(), &Device::Cpu).unwrap();
    fit(&mut second, 6, batch, &mut []).unwrap();
    let drawn = |trainer: &Trainer| {
        let z = Stream::new(5, "z", 0).normal((4, 8), &Device::Cpu).unwrap();
        let images = trainer.sampler().unwrap().generate(&z).unwrap();
        images.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert!(bits(&unbroken) == bits(&second) && drawn(&unbroken) == drawn(&second));
    // And the average is another generator than the last one.
    let z = Stream::new(5, "z", 0).normal((4, 8), &Device::Cpu).unwrap();
    let last = unbroken.generator().generate(&z).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(drawn(&unbroken) != last);
    std::fs::remove_file(path.join("ema.safetensors")).unwrap();
    assert!(checkpoint::load(&path, &model, &train, 3, &BTreeMap::new(), &Device::Cpu).is_err());
}

#[test]
fn several_updates_schedules_rmsprop_and_views_go_on_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let (mut model, mut train) = (model(), train());
    model.discriminator.norm = Some(DiscriminatorNorm::None);
    // Steps of 6 images: the schedules end in the fifth, the warm-up in the second.
    let to = |to| Some(Schedule { to, over_kimg: 0.024, shape: Shape::Cosine, warm_up_kimg: 0. });
    train.loss = Loss::Relativistic;
    (train.d_steps, train.g_steps) = (2, 2);
    train.r1 = Some(ZeroCentered { gamma_schedule: to(0.1), every: 3, ..ZeroCentered::new(1.) });
    train.ema = Some(EmaConfig { half_life_schedule: to(0.2), ..EmaConfig::new(0.05) });
    train.augment = Some(Augment { translation: Some(0.125), cutout: Some(0.5) });
    train.instance_noise = Some(InstanceNoise { deviation: 0.1, schedule: to(0.) });
    let warm_up = Schedule { to: 1e-4, over_kimg: 0.02, shape: Shape::Linear, warm_up_kimg: 0.01 };
    train.generator.lr_schedule = Some(warm_up);
    train.generator.beta2_schedule = to(0.99);
    train.discriminator = OptimizerConfig {
        optimizer: Algorithm::Rmsprop,
        lr_schedule: to(1e-4),
        beta2_schedule: to(0.9),
        ..OptimizerConfig::new(1e-3, (0., 0.99))
    };
    let start = || Trainer::new(&model, &train, 3, &Device::Cpu).unwrap();
    let mut unbroken = start();
    let mut rates = vec![];
    for step in 0..8 {
        unbroken.step(batch(step).unwrap()).unwrap();
        let hyper = unbroken.optimizer_g().hyper();
        rates.push((hyper.lr, hyper.betas.1));
    }
    assert_eq!((rates[0], rates[7]), ((0., 0.999), (1e-4, 0.99)));
    assert!(rates[1].0 > rates[0].0 && rates[2].0 > rates[3].0 && rates[3].1 < rates[2].1);

    for broken_after in [1, 3] {
        let mut first = start();
        fit(&mut first, broken_after, batch, &mut []).unwrap();
        let path = save(directory.path(), &first, 2);
        let (mut second, _) =
            checkpoint::load(&path, &model, &train, 3, &BTreeMap::new(), &Device::Cpu).unwrap();
        fit(&mut second, 8, batch, &mut []).unwrap();
        assert!(bits(&unbroken) == bits(&second), "after {broken_after}");
    }
    // Three batches of latents a step, of three images each; no other number will do.
    let real = batch(0).unwrap();
    assert!(unbroken.step_with(&real, &unbroken.noise(9, 9).unwrap()).is_ok());
    let error = unbroken.step_with(&real, &unbroken.noise(9, 6).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("latents: expected 3 for each of 3"), "{error}");
    let odd = unbroken.step(real.narrow(0, 0, 5).unwrap()).unwrap_err().to_string();
    assert_eq!(odd, "real images: expected a positive multiple of train.d-steps = 2, found 5");
    assert_eq!(unbroken.steps_done(), 9);
}

/// The images of a step.
type Real<'a> = &'a dyn Fn(u64) -> gan_train::Result<Examples>;

#[test]
fn classes_spectral_norm_and_coupled_samples_go_on_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let labelled = |step| Ok(Examples { images: batch(step)?, labels: Some(vec![0, 1, 2, 0, 1, 2]) });
    let plain = |step| Ok(Examples::from(batch(step)?));
    let mut conditional = model();
    conditional.classes = Some(3);
    conditional.latent = Distribution::Uniform;
    conditional.discriminator.norm = Some(DiscriminatorNorm::Spectral);
    conditional.discriminator.minibatch_std = Some(3);
    let mut packed = model();
    packed.discriminator.norm = Some(DiscriminatorNorm::None);
    packed.discriminator.pack = 2;
    let mut train = train();
    train.loss = Loss::Hinge;
    for (model, real) in [(conditional.clone(), &labelled as Real<'_>), (packed, &plain)] {
        let start = || Trainer::new(&model, &train, 3, &Device::Cpu).unwrap();
        let mut unbroken = start();
        fit(&mut unbroken, 6, real, &mut []).unwrap();
        let mut first = start();
        fit(&mut first, 3, real, &mut []).unwrap();
        let path = save(directory.path(), &first, 2);
        let (mut second, _) =
            checkpoint::load(&path, &model, &train, 3, &BTreeMap::new(), &Device::Cpu).unwrap();
        fit(&mut second, 6, real, &mut []).unwrap();
        assert!(bits(&unbroken) == bits(&second));
    }

    let problem = |labels: Option<Vec<u8>>, model: &ModelConfig| {
        let mut trainer = Trainer::new(model, &train, 3, &Device::Cpu).unwrap();
        trainer.step(Examples { images: batch(0).unwrap(), labels }).unwrap_err().to_string()
    };
    assert_eq!(problem(None, &conditional), "model.classes: the images have no labels");
    assert_eq!(problem(Some(vec![0; 5]), &conditional), "model.classes: expected 6 labels, found 5");
    let strange = problem(Some(vec![0, 0, 3, 0, 0, 0]), &conditional);
    assert_eq!(strange, "model.classes: expected labels of 3 classes, found 3");
    assert!(problem(Some(vec![0; 6]), &model()).starts_with("model.classes: expected a number"));
    // Minibatch standard deviation leaves no gradient of one sample's logit.
    train.r1 = Some(ZeroCentered::new(1.));
    let error = Trainer::new(&conditional, &train, 3, &Device::Cpu).unwrap_err().to_string();
    assert!(error.starts_with("train.r1: ") && error.contains("minibatch-std"), "{error}");
}
