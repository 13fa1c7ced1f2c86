//! Tests of what a step does to both players.

use super::*;
use crate::config::OptimizerConfig;
use crate::{Algorithm, Augment, InstanceNoise};
use gan_models::preset;
use std::collections::HashMap;

#[test]
fn the_update_that_norms_tell_is_the_one_that_was_made() -> Result<()> {
    let adam = OptimizerConfig::new(1e-2, (0.5, 0.999));
    let mut trainer = Trainer::new(&preset::mlp_002(), &TrainConfig::new(1, adam), 0, &Device::Cpu)?;
    assert_eq!((trainer.norms_g()?.update, trainer.norms_g()?.gradient), (0., 0.));
    for step in 0..3 {
        let real = Stream::new(0, "real", step).uniform(-1., 1., (4, 1, 28, 28), &Device::Cpu)?;
        let values = |trainer: &Trainer| -> Result<Vec<f32>> {
            let flat = trainer.generator.params().trained().map(|(_, v)| v.flatten_all()?.to_vec1());
            Ok(flat.collect::<candle_core::Result<Vec<_>>>()?.concat())
        };
        let before = values(&trainer)?;
        trainer.step(&real)?;
        let moved = before.iter().zip(values(&trainer)?).map(|(b, a)| f64::from(a - b).powi(2)).sum::<f64>();
        let norms = trainer.norms_g()?;
        assert!((norms.update / moved.sqrt() - 1.).abs() < 1e-4, "{} {}", norms.update, moved.sqrt());
        assert!(norms.gradient > 0. && norms.weight > 1.);
    }
    Ok(())
}

#[test]
fn no_gradient_reaches_the_other_player() -> Result<()> {
    // A player with a rate of nearly 0 does not move, whatever the other player does.
    let still = OptimizerConfig::new(1e-30, (0.5, 0.999));
    let moving = OptimizerConfig { lr: 1e-3, ..still };
    let weights = |params: &Params| -> Result<Vec<f32>> {
        let flat = params.trained().map(|(_, var)| var.flatten_all()?.to_vec1::<f32>());
        Ok(flat.collect::<candle_core::Result<Vec<_>>>()?.concat())
    };
    for model in [preset::mlp_002(), preset::dcgan_28()] {
        for (g, d) in [(still, moving), (moving, still)] {
            let train = TrainConfig { generator: g, discriminator: d, ..TrainConfig::new(1, still) };
            let mut trainer = Trainer::new(&model, &train, 0, &Device::Cpu)?;
            let before = [weights(trainer.generator.params())?, weights(trainer.discriminator.params())?];
            let real = Stream::new(0, "real", 0).uniform(-1., 1., (2, 1, 28, 28), &Device::Cpu)?;
            trainer.step(&real)?;
            let after = [weights(trainer.generator.params())?, weights(trainer.discriminator.params())?];
            let moved = |i: usize| before[i].iter().zip(&after[i]).any(|(b, a)| (b - a).abs() > 1e-20);
            assert_eq!([moved(0), moved(1)], [g == moving, d == moving]);
        }
    }
    Ok(())
}

#[test]
fn the_gradient_of_g_goes_back_through_what_d_sees() -> Result<()> {
    // RMSprop keeps the last gradient unchanged, and rates of nearly 0 keep both players in
    // place.
    let still = OptimizerConfig { optimizer: Algorithm::Rmsprop, ..OptimizerConfig::new(1e-30, (0., 0.9)) };
    for model in [preset::mlp_002(), preset::dcgan_28()] {
        let mut train = TrainConfig::new(1, still);
        train.loss = Loss::Relativistic;
        train.augment =
            Some(Augment { color: false, translation: Some(0.2), cutout: Some(0.4), probability: None });
        train.instance_noise = Some(InstanceNoise { deviation: 0.1, schedule: None });
        let real = Stream::new(0, "real", 0).uniform(-1., 1., (4, 1, 28, 28), &Device::Cpu)?;
        let mut trainer = Trainer::new(&model, &train, 0, &Device::Cpu)?;
        trainer.step(&real)?;
        let norm = trainer.norms_g()?.gradient;
        // Along the gradient, the loss grows at the rate of the gradient's norm.
        let gradient: HashMap<_, _> = trainer.optimizer_g().moments().into_iter().collect();
        let loss = |by: f64| -> Result<f64> {
            let mut moved = Trainer::new(&model, &train, 0, &Device::Cpu)?;
            for (name, var) in moved.generator.params().trained() {
                let step = (&gradient[&format!("{name}.m")] * (by / norm))?;
                var.set(&(var.as_detached_tensor() + step)?)?;
            }
            Ok(moved.step(&real)?.g_loss.into())
        };
        let slope = (loss(2e-3)? - loss(-2e-3)?) / 4e-3;
        assert!((slope / norm - 1.).abs() < 0.02, "{slope} {norm}");
    }
    Ok(())
}
