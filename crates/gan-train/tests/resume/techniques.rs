//! Tests of runs with every setting of the configuration.

use super::*;

#[test]
fn an_average_and_penalties_go_on_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let (mut model, mut train) = (model(), train());
    let refused =
        TrainConfig { r1: Some(ZeroCentered { every: 2, ..ZeroCentered::new(1.) }), ..train.clone() };
    let problem = Trainer::new(&model, &refused, 3, &Device::Cpu).unwrap_err().to_string();
    assert!(
        problem
            .contains("train.r1: no such penalty on this discriminator: BatchNorm2d(8) couples the samples"),
        "{problem}"
    );

    model.discriminator.norm = DiscriminatorNorm::None;
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
    // The average must differ from the last generator.
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
    model.discriminator.norm = DiscriminatorNorm::None;
    // Steps have 6 images, so the schedules end in the fifth step and the warm-up ends in the
    // second.
    let to = |to| Some(Schedule { to, over_kimg: 0.024, shape: Shape::Cosine, warm_up_kimg: 0. });
    train.loss = Loss::Relativistic;
    (train.d_steps, train.g_steps) = (2, 2);
    train.r1 = Some(ZeroCentered { gamma_schedule: to(0.1), every: 3, ..ZeroCentered::new(1.) });
    train.ema = Some(EmaConfig { half_life_schedule: to(0.2), ..EmaConfig::new(0.05) });
    train.augment =
        Some(Augment { color: true, translation: Some(0.125), cutout: Some(0.5), probability: None });
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
    // A step needs three batches of latents with three images each. Any other number is refused.
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
    conditional.discriminator.norm = DiscriminatorNorm::Spectral;
    conditional.discriminator.minibatch_std = Some(3);
    let mut packed = model();
    packed.discriminator.norm = DiscriminatorNorm::None;
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

    let problem = |labels: Option<Vec<u16>>, model: &ModelConfig| {
        let mut trainer = Trainer::new(model, &train, 3, &Device::Cpu).unwrap();
        trainer.step(Examples { images: batch(0).unwrap(), labels }).unwrap_err().to_string()
    };
    assert_eq!(problem(None, &conditional), "model.classes: the images have no labels");
    assert_eq!(problem(Some(vec![0; 5]), &conditional), "model.classes: expected 6 labels, found 5");
    let strange = problem(Some(vec![0, 0, 3, 0, 0, 0]), &conditional);
    assert_eq!(strange, "model.classes: expected labels of 3 classes, found 3");
    assert!(problem(Some(vec![0; 6]), &model()).starts_with("model.classes: expected a number"));
    // With minibatch standard deviation, the gradient of one sample's logit does not exist.
    train.r1 = Some(ZeroCentered::new(1.));
    let error = Trainer::new(&conditional, &train, 3, &Device::Cpu).unwrap_err().to_string();
    assert!(error.starts_with("train.r1: ") && error.contains("minibatch-std"), "{error}");
}
