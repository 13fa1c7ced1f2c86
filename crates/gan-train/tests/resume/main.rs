//! Tests of a run: it follows the paper's step, it is reproducible, and a resumed run equals the
//! unbroken run bit for bit.
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

mod checkpoints;
mod techniques;

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
    checkpoint::prune(&saved, &retention(keep, &[])).unwrap();
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
        params.trained().map(|(_, v)| v.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    // With a tiny learning rate, one player stays in place while the other takes a step.
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

fn retention(last: usize, ways_back: &[u64]) -> checkpoint::Retention<'_> {
    checkpoint::Retention { last, ways_back, is_regular: &|_| true }
}
