use super::*;
use crate::health::vitals::{Images, Losses, Player};

fn baseline() -> Baseline {
    Baseline {
        count: 5000,
        range: [-1., 1.],
        reach: [-1., 1.],
        shares: vec![0.1; 10],
        distance: 0.01,
        weights: [20., 10.],
    }
}

fn healthy() -> Vitals {
    let player = Player { weight: 20., gradient: 0.5, update: 1e-3 };
    Vitals {
        losses: Losses {
            d_loss: 0.8,
            g_loss: 1.8,
            d_real: 0.75,
            d_fake: 0.25,
            largest_logit: 8.,
            swing: 0.1,
            rhythm: 0.3,
        },
        generator: player,
        discriminator: player,
        largest_activation: 15.,
        images: Images {
            count: 256,
            range: [-1., 1.],
            spread: 0.95,
            shares: vec![0.1; 10],
            distance: 0.2,
            copied: 0.,
        },
    }
}

/// The failures that `checks` checks lead to, `change` made to each; the argument counts from 0.
fn failures(checks: usize, change: impl Fn(usize, &mut Vitals)) -> Vec<(Failure, u64)> {
    let mut monitor = Monitor::new(baseline());
    for check in 0..checks {
        let mut vitals = healthy();
        change(check, &mut vitals);
        monitor.observe(100 * (check as u64 + 1), vitals);
    }
    monitor.verdicts().iter().map(|verdict| (verdict.failure, verdict.since)).collect()
}

#[test]
fn a_healthy_run_has_no_verdict() {
    assert_eq!(failures(50, |_, _| ()), []);
    // Nor one that learns slowly, as an MLP does.
    let slow = |check: usize, v: &mut Vitals| {
        v.images.distance = 12. * 0.9f64.powf(check as f64) + 0.2;
        v.images.spread = 1. - 0.99 * 0.95f64.powf(check as f64);
        if v.images.distance > 2. {
            v.images.shares = [vec![0.; 8], vec![1., 0.]].concat();
        }
    };
    assert_eq!(failures(60, slow), []);
}

#[test]
fn each_symptom_leads_to_its_verdict_and_no_other() {
    let sure = |v: &mut Vitals| (v.losses.d_real, v.losses.d_fake) = (0.99, 0.01);
    let from = |first: usize, check: usize| check >= first;
    assert_eq!(
        failures(3, |c, v| if from(1, c) {
            v.losses.largest_logit = 1e4;
        }),
        [(Failure::Divergence, 200)]
    );
    assert_eq!(failures(3, |_, v| v.generator.weight = f64::NAN), [(Failure::Divergence, 100)]);
    assert_eq!(failures(3, |_, v| v.largest_activation = 1e5), [(Failure::Divergence, 100)]);
    assert_eq!(failures(2, |_, v| v.generator.update = 1e-9), [(Failure::GeneratorFrozen, 100)]);
    assert_eq!(failures(2, |_, v| v.discriminator.update = 0.), [(Failure::DiscriminatorFrozen, 100)]);
    assert_eq!(
        failures(6, |c, v| if from(2, c) {
            sure(v);
        }),
        [(Failure::DiscriminatorWon, 300)]
    );
    let faded = |c: usize, v: &mut Vitals| {
        sure(v);
        v.generator.gradient = if c == 0 { 1. } else { 5e-3 };
    };
    assert_eq!(failures(4, faded), [(Failure::VanishingGradients, 200), (Failure::DiscriminatorWon, 100)]);
    let alike = |v: &mut Vitals| (v.images.spread, v.images.distance) = (0.01, 1.5);
    assert_eq!(
        failures(4, |c, v| if from(1, c) {
            alike(v);
        }),
        [(Failure::ModeCollapse, 200)]
    );
    let no_sevens = |_: usize, v: &mut Vitals| (v.images.shares[7], v.images.shares[1]) = (0., 0.2);
    assert_eq!(failures(11, no_sevens), []);
    assert_eq!(failures(12, no_sevens), [(Failure::MissingModes, 1200)]);
    assert_eq!(failures(16, |_, v| v.images.distance = 8.), [(Failure::NonConvergence, 1600)]);
    let to_and_fro = |c: usize, v: &mut Vitals| v.images.distance = if c % 4 < 2 { 0.2 } else { 0.9 };
    assert_eq!(failures(8, to_and_fro), [(Failure::Oscillation, 700)]);
    let hopping = |c: usize, v: &mut Vitals| {
        v.images.shares = vec![0.; 10];
        for class in 0..5 {
            v.images.shares[(c % 2) * 5 + class] = 0.2;
        }
    };
    assert_eq!(failures(12, hopping), [(Failure::Oscillation, 1200)]);
    assert_eq!(failures(6, |_, v| v.losses.swing = 1.2), [(Failure::Oscillation, 600)]);
    let round = |_: usize, v: &mut Vitals| (v.losses.swing, v.losses.rhythm) = (0.6, 0.8);
    assert_eq!(failures(6, round), [(Failure::Oscillation, 600)]);
    assert_eq!(failures(6, |_, v| v.losses.rhythm = 0.8), []);
    assert_eq!(failures(2, |_, v| v.images.copied = 0.5), [(Failure::Memorisation, 100)]);
}

#[test]
fn a_symptom_that_passes_is_no_verdict() {
    let now_and_then = |c: usize, v: &mut Vitals| {
        if !c.is_multiple_of(3) {
            (v.losses.d_real, v.losses.d_fake) = (0.99, 0.01);
        }
    };
    assert_eq!(failures(30, now_and_then), []);
}

#[test]
fn what_a_frozen_player_does_to_the_rest_is_its_doing() {
    let frozen = |_: usize, v: &mut Vitals| {
        v.generator.update = 0.;
        (v.losses.d_real, v.losses.d_fake) = (1., 0.);
        (v.images.spread, v.images.distance) = (0.01, 2.);
    };
    assert_eq!(failures(20, frozen), [(Failure::GeneratorFrozen, 100)]);
}

#[test]
fn ranges_are_judged_before_the_first_step() {
    let verdicts = |range| {
        let monitor = Monitor::new(Baseline { range, ..baseline() });
        monitor.verdicts().iter().map(|v| (v.failure, v.since)).collect::<Vec<_>>()
    };
    assert_eq!(verdicts([0., 1.]), [(Failure::RangeMismatch, 0)]);
    assert_eq!(verdicts([0., 255.]), [(Failure::RangeMismatch, 0)]);
    assert_eq!(verdicts([-1., 1.]), []);
    // Dark images are no mismatch.
    assert_eq!(verdicts([-1., 0.7]), []);
}

#[test]
fn it_knows_how_far_back_a_run_was_healthy() {
    let mut monitor = Monitor::new(baseline());
    for step in [100, 200] {
        monitor.observe(step, healthy());
    }
    assert_eq!(monitor.healthy_until(), 200);
    let mut sure = healthy();
    (sure.losses.d_real, sure.losses.d_fake) = (1., 0.);
    for step in [300, 400, 500, 600] {
        assert!(!monitor.still_shows(Failure::DiscriminatorWon) || step > 300);
        let raised = monitor.observe(step, sure.clone());
        assert_eq!(raised.len(), usize::from(step == 600), "{step}");
    }
    assert_eq!(monitor.healthy_until(), 200);
    assert_eq!(monitor.observe(700, sure), []);
    monitor.observe(800, healthy());
    assert_eq!((monitor.healthy_until(), monitor.verdicts().len()), (800, 1));
    assert!(!monitor.still_shows(Failure::DiscriminatorWon));
}

#[test]
fn what_is_beyond_numbers_survives_json() {
    let mut vitals = healthy();
    vitals.generator.gradient = f64::INFINITY;
    vitals.images.spread = f64::NAN;
    vitals.losses.g_loss = f64::NEG_INFINITY;
    let written = serde_json::to_string(&vitals.finite()).unwrap();
    let read: Vitals = serde_json::from_str(&written).unwrap();
    assert_eq!((read.generator.gradient, read.images.spread, read.losses.g_loss), (1e30, 1e30, -1e30));
    assert_eq!(healthy().finite(), healthy());
}
