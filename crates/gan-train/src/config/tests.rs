//! Tests: which values are refused, and how epochs become steps.

use super::*;
use crate::{Algorithm, Schedule, Shape};

fn config() -> TrainConfig {
    let player = OptimizerConfig::new(2e-4, (0.5, 0.999));
    TrainConfig::new(10, player)
}

fn problem(change: impl Fn(&mut TrainConfig)) -> String {
    let mut config = config();
    change(&mut config);
    config.validate().unwrap_err().to_string()
}

#[test]
fn every_bad_value_is_named_with_what_is_expected() {
    config().validate().unwrap();
    assert_eq!(problem(|c| c.generator.lr = -1.), "train.generator.lr: expected a positive number, found -1");
    assert!(problem(|c| c.discriminator.lr = f64::NAN).starts_with("train.discriminator.lr: "));
    assert!(problem(|c| c.discriminator.betas.1 = 1.).ends_with("found 1"));
    assert_eq!(
        problem(|c| c.steps = None),
        "train.steps: expected train.steps or train.epochs, found neither"
    );
    assert!(problem(|c| c.epochs = Some(1)).ends_with("found both"));
    assert_eq!(problem(|c| c.steps = Some(0)), "train.steps: expected at least 1, found 0");
    assert_eq!(problem(|c| c.d_steps = 0), "train.d-steps: expected a whole number from 1 to 100, found 0");
    assert!(problem(|c| c.g_steps = 101).starts_with("train.g-steps: "));
    assert_eq!(problem(|c| c.accumulate = 0), "train.accumulate: expected at least 1, found 0");
    assert_eq!(
        problem(|c| c.generator.optimizer = Algorithm::Rmsprop),
        "train.generator.betas: expected [0, 0.999] for rmsprop, which has no first moment, found [0.5, \
         0.999]"
    );
    let schedule = |to| Some(Schedule { to, over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. });
    assert_eq!(
        problem(|c| c.generator.lr_schedule = schedule(-1.)),
        "train.generator.lr-schedule.to: expected 0 or a positive number, found -1"
    );
    let problem_of = |to| problem(|c| c.discriminator.beta2_schedule = schedule(to));
    assert!(problem_of(1.).starts_with("train.discriminator.beta2-schedule.to: "));
    let fading = |gamma_schedule| Some(ZeroCentered { gamma_schedule, ..ZeroCentered::new(1.) });
    assert!(problem(|c| c.r2 = fading(schedule(-1.))).starts_with("train.r2.gamma-schedule.to: "));
    let ema = EmaConfig { half_life_schedule: schedule(0.), ..EmaConfig::new(1.) };
    assert!(problem(|c| c.ema = Some(ema)).starts_with("train.ema.half-life-schedule.to: "));
}

#[test]
fn batches_are_divided_evenly() {
    let part = |accumulate, batch, ranks| {
        let config = TrainConfig { accumulate, ..config() };
        config.part_size(batch, ranks).map_err(|error| error.to_string())
    };
    assert_eq!([part(1, 64, 1), part(4, 64, 1), part(2, 64, 4)], [Ok(64), Ok(16), Ok(8)]);
    let problem = |accumulate, batch, ranks| part(accumulate, batch, ranks).unwrap_err();
    assert_eq!(problem(1, 64, 3), "data.batch-size: expected a multiple of the 3 ranks, found 64");
    assert_eq!(
        problem(3, 64, 1),
        "train.accumulate: expected a divisor of the 64 images in a batch, found 3"
    );
    assert_eq!(
        problem(5, 64, 4),
        "train.accumulate: expected a divisor of the 16 images in a rank's share of a batch, found 5"
    );
}

#[test]
fn epochs_become_steps() {
    let mut config = config();
    (config.steps, config.epochs) = (None, Some(3));
    let horizon = config.horizon(78).unwrap();
    assert_eq!((horizon.steps, horizon.epochs(117)), (234, 1.5));
    assert!(config.horizon(u64::MAX).is_err());
    // With four batches in a step, the last step takes two batches from the fourth epoch.
    config.d_steps = 4;
    let horizon = config.horizon(78).unwrap();
    assert_eq!((horizon.steps, horizon.epochs(39)), (59, 2.));
    assert_eq!((config.batches(2), config.images_per_step(16)), (8..12, 64));
}

#[test]
fn a_step_takes_whole_batches() {
    let mut config = config();
    (config.d_steps, config.g_steps) = (3, 2);
    assert_eq!(config.batch_size(12, 16).unwrap(), 4);
    let problem = |real, latents| config.batch_size(real, latents).unwrap_err().to_string();
    assert_eq!(problem(13, 16), "real images: expected a positive multiple of train.d-steps = 3, found 13");
    assert!(problem(0, 0).ends_with("found 0"));
    assert_eq!(problem(12, 12), "latents: expected 4 for each of 4, (d-steps + g-steps - 1) * B, found 12");
}
