//! Tests which measurements lead to which verdicts, and when.

use super::*;
use crate::health::vitals::{ImageVitals, Losses, Player};

fn baseline() -> Baseline {
    Baseline {
        count: 5000,
        range: [-1., 1.],
        reach: [-1., 1.],
        shares: vec![0.1; 10],
        features: None,
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
            d_real: Some(0.75),
            d_fake: Some(0.25),
            largest_logit: 8.,
            swing: 0.1,
            rhythm: 0.3,
        },
        generator: player,
        discriminator: player,
        largest_activation: 15.,
        images: ImageVitals {
            count: 256,
            range: [-1., 1.],
            spread: 0.95,
            shares: vec![0.1; 10],
            distance: 0.2,
            copied: 0.,
        },
    }
}

/// The failures after `checks` checks. `change` changes each of them. Its argument counts from 0.
fn failures(checks: usize, change: impl Fn(usize, &mut Vitals)) -> Vec<(Failure, u64)> {
    let mut monitor = Monitor::new(baseline(), 0);
    for check in 0..checks {
        let mut vitals = healthy();
        change(check, &mut vitals);
        monitor.observe(500 * (check as u64 + 1), vitals);
    }
    monitor.verdicts().iter().map(|verdict| (verdict.failure, verdict.since)).collect()
}

#[test]
fn a_healthy_run_has_no_verdict() {
    assert_eq!(failures(50, |_, _| ()), []);
    // Near the data, chance changes the distance.
    let near = |check: usize, v: &mut Vitals| v.images.distance = if check % 4 < 2 { 0.01 } else { 0.03 };
    assert_eq!(failures(20, near), []);
    // A run that learns slowly, as an MLP does, has no verdict either.
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
    let sure = |v: &mut Vitals| (v.losses.d_real, v.losses.d_fake) = (Some(0.99), Some(0.01));
    let from = |first: usize, check: usize| check >= first;
    assert_eq!(
        failures(3, |c, v| if from(1, c) {
            v.losses.largest_logit = 1e4;
        }),
        [(Failure::Divergence, 1000)]
    );
    assert_eq!(failures(3, |_, v| v.generator.weight = f64::NAN), [(Failure::Divergence, 500)]);
    assert_eq!(failures(3, |_, v| v.largest_activation = 1e5), [(Failure::Divergence, 500)]);
    assert_eq!(failures(2, |_, v| v.generator.update = 1e-9), [(Failure::GeneratorFrozen, 500)]);
    assert_eq!(failures(2, |_, v| v.discriminator.update = 0.), [(Failure::DiscriminatorFrozen, 500)]);
    assert_eq!(
        failures(6, |c, v| if from(2, c) {
            sure(v);
        }),
        [(Failure::DiscriminatorWon, 1500)]
    );
    let faded = |c: usize, v: &mut Vitals| {
        sure(v);
        v.generator.gradient = if c == 0 { 1. } else { 5e-3 };
    };
    assert_eq!(failures(4, faded), [(Failure::VanishingGradients, 1000), (Failure::DiscriminatorWon, 500)]);
    let alike = |v: &mut Vitals| (v.images.spread, v.images.distance) = (0.01, 1.5);
    assert_eq!(
        failures(4, |c, v| if from(1, c) {
            alike(v);
        }),
        [(Failure::ModeCollapse, 1000)]
    );
    let no_sevens = |_: usize, v: &mut Vitals| (v.images.shares[7], v.images.shares[1]) = (0., 0.2);
    assert_eq!(failures(11, no_sevens), []);
    assert_eq!(failures(12, no_sevens), [(Failure::MissingModes, 500)]);
    assert_eq!(failures(16, |_, v| v.images.distance = 8.), [(Failure::NonConvergence, 500)]);
    let to_and_fro = |c: usize, v: &mut Vitals| v.images.distance = if c % 4 < 2 { 0.2 } else { 0.9 };
    assert_eq!(failures(8, to_and_fro), [(Failure::Oscillation, 500)]);
    let hopping = |c: usize, v: &mut Vitals| {
        v.images.shares = vec![0.; 10];
        for class in 0..5 {
            v.images.shares[(c % 2) * 5 + class] = 0.2;
        }
    };
    assert_eq!(failures(12, hopping), [(Failure::Oscillation, 500)]);
    assert_eq!(failures(6, |_, v| v.losses.swing = 1.2), [(Failure::Oscillation, 500)]);
    let round = |_: usize, v: &mut Vitals| (v.losses.swing, v.losses.rhythm) = (0.6, 0.8);
    assert_eq!(failures(6, round), [(Failure::Oscillation, 500)]);
    assert_eq!(failures(6, |_, v| v.losses.rhythm = 0.8), []);
    let critic = |swing: f64| {
        let of = move |_: usize, v: &mut Vitals| {
            (v.losses.d_real, v.losses.d_fake) = (None, None);
            (v.losses.g_loss, v.losses.largest_logit, v.losses.swing) = (-0.1, 8., swing);
        };
        failures(6, of)
    };
    assert_eq!((critic(1.2), critic(4.)), (vec![], vec![(Failure::Oscillation, 500)]));
    assert_eq!(failures(2, |_, v| v.images.copied = 0.5), [(Failure::Memorisation, 500)]);
}

#[test]
fn a_small_bin_may_be_missing_and_a_small_class_may_not() {
    let evidence = |features: Option<&str>, share: f64| {
        let shares = vec![share, 1. - share];
        let mut monitor =
            Monitor::new(Baseline { shares, features: features.map(Into::into), ..baseline() }, 0);
        for check in 1..=12 {
            let mut vitals = healthy();
            vitals.images.shares = vec![0., 1.];
            monitor.observe(500 * check, vitals);
        }
        monitor.verdicts().iter().map(|verdict| verdict.evidence.clone()).collect::<Vec<_>>()
    };
    let of = |what: &str| [format!("of 3072 generated images hardly any is of {what} of the data)")];
    assert_eq!(evidence(None, 0.03), of("class 0 (0.00%, 3.0%"));
    assert_eq!(evidence(Some("random-1"), 0.03), Vec::<String>::new());
    assert_eq!(evidence(Some("random-1"), 0.05), of("bin 0 (0.00%, 5.0%"));
}

#[test]
fn a_symptom_that_passes_is_no_verdict() {
    let now_and_then = |c: usize, v: &mut Vitals| {
        if !c.is_multiple_of(3) {
            (v.losses.d_real, v.losses.d_fake) = (Some(0.99), Some(0.01));
        }
    };
    assert_eq!(failures(30, now_and_then), []);
}

#[test]
fn what_a_frozen_player_does_to_the_rest_is_its_doing() {
    let frozen = |_: usize, v: &mut Vitals| {
        v.generator.update = 0.;
        (v.losses.d_real, v.losses.d_fake) = (Some(1.), Some(0.));
        (v.images.spread, v.images.distance) = (0.01, 2.);
    };
    assert_eq!(failures(20, frozen), [(Failure::GeneratorFrozen, 500)]);
}

#[test]
fn what_was_explained_a_moment_ago_still_is() {
    let won = |c: usize, v: &mut Vitals| {
        if c < 10 {
            (v.losses.d_real, v.losses.d_fake) = (Some(1.), Some(0.));
        }
        v.losses.swing = 1.2;
    };
    assert_eq!(failures(20, won), [(Failure::DiscriminatorWon, 500)]);
    // Twelve checks later the failure does not explain anything any more. The symptom that it
    // explained before is still there.
    assert_eq!(failures(22, won), [(Failure::DiscriminatorWon, 500), (Failure::Oscillation, 8500)]);
    let mut monitor = Monitor::new(baseline(), 0);
    for check in 0..12 {
        let mut vitals = healthy();
        won(check, &mut vitals);
        monitor.observe(500 * (check as u64 + 1), vitals);
    }
    assert!(monitor.still_shows(Failure::Oscillation) && !monitor.still_shows(Failure::DiscriminatorWon));
    assert_eq!(monitor.healthy_until(), 0);
}

#[test]
fn an_explanation_reaches_as_far_as_what_it_explains() {
    // D is sure in steps 1000 to 3000, and the images oscillate with it. This ends by 3100, but
    // the rule's window still holds these checks for a long time.
    for every in [100, 500] {
        let mut monitor = Monitor::new(baseline(), 0);
        for step in (every..=12_000).step_by(every as usize) {
            let mut vitals = healthy();
            if (1000..=3000).contains(&step) {
                (vitals.losses.d_real, vitals.losses.d_fake) = (Some(1.), Some(0.));
                vitals.images.distance = if step / 500 % 2 == 0 { 0.2 } else { 0.9 };
            }
            monitor.observe(step, vitals);
        }
        let found: Vec<_> = monitor.verdicts().iter().map(|verdict| verdict.failure).collect();
        assert_eq!(found, [Failure::DiscriminatorWon], "{every}");
    }
}

#[test]
fn frequent_looks_leave_near_ways_back() {
    let mut monitor = Monitor::new(baseline(), 0);
    for step in (100..=10_000).step_by(100) {
        monitor.observe(step, healthy());
    }
    let ways = monitor.ways_back();
    let near: Vec<u64> = (8900..=10_000).step_by(100).collect();
    assert!(near.iter().all(|step| ways.contains(step)) && ways.len() <= 25, "{ways:?}");
    // There is also one step before the window of twelve far checks.
    assert_eq!((ways[0], ways[1], monitor.patience()), (4400, 4500, None));
}

#[test]
fn a_watch_that_begins_later_knows_nothing_of_before() {
    let mut monitor = Monitor::new(baseline(), 5000);
    assert_eq!(monitor.healthy_until(), 5000);
    let mut alike = healthy();
    (alike.images.spread, alike.images.distance) = (0.01, 1.5);
    for step in [5100, 5200, 5300] {
        monitor.observe(step, alike.clone());
    }
    assert_eq!((monitor.verdicts()[0].since, monitor.healthy_until()), (5100, 5000));
    assert_eq!(monitor.patience(), Some((16, 0)));
}

#[test]
fn what_many_checks_say_together_began_with_the_first_of_them() {
    let mut monitor = Monitor::new(baseline(), 0);
    for check in 1..=22 {
        let mut vitals = healthy();
        if check > 10 {
            vitals.images.shares = [vec![0.], vec![1. / 9.; 9]].concat();
        }
        monitor.observe(500 * check, vitals);
        if check == 21 {
            // These are the checks of the window, and one more step for the case that all of them
            // turn out to be unhealthy.
            assert_eq!(monitor.ways_back().len(), 13);
            assert_eq!((monitor.ways_back()[0], monitor.healthy_until()), (4500, 10_500));
        }
    }
    let verdict = monitor.verdicts().last().unwrap();
    assert_eq!((verdict.failure, verdict.since, verdict.step), (Failure::MissingModes, 5500, 11_000));
    assert_eq!((monitor.healthy_until(), monitor.ways_back()), (5000, vec![5000]));
}

#[test]
fn looks_that_are_close_together_do_not_make_a_slow_run_a_failing_one() {
    let verdicts = |every: u64, checks: u64| {
        let mut monitor = Monitor::new(baseline(), 0);
        for check in 1..=checks {
            let mut vitals = healthy();
            vitals.images.distance = if check % 2 == 0 { 8. } else { 20. };
            (vitals.losses.d_real, vitals.losses.d_fake) = (Some(1.), Some(0.));
            monitor.observe(every * check, vitals);
        }
        monitor.verdicts().iter().map(|v| (v.failure, v.since, v.step)).collect::<Vec<_>>()
    };
    // 380 steps are too few for any verdict. 400 are enough for a discriminator that has won.
    assert_eq!(verdicts(10, 38), []);
    assert_eq!(verdicts(10, 40), [(Failure::DiscriminatorWon, 100, 400)]);
    let mut frozen = Monitor::new(baseline(), 0);
    for step in [10, 20] {
        let mut vitals = healthy();
        vitals.generator.update = 0.;
        frozen.observe(step, vitals);
    }
    // The rule of this symptom uses every check, so the checks may be close together.
    assert_eq!(frozen.verdicts()[0].failure, Failure::GeneratorFrozen);
    assert_eq!(frozen.history().len(), 2);
}

#[test]
fn ranges_are_judged_before_the_first_step() {
    let verdicts = |range| {
        let monitor = Monitor::new(Baseline { range, ..baseline() }, 0);
        monitor.verdicts().iter().map(|v| (v.failure, v.since)).collect::<Vec<_>>()
    };
    assert_eq!(verdicts([0., 1.]), [(Failure::RangeMismatch, 0)]);
    assert_eq!(verdicts([0., 255.]), [(Failure::RangeMismatch, 0)]);
    assert_eq!(verdicts([-1., 1.]), []);
}

#[test]
fn it_knows_how_far_back_a_run_was_healthy() {
    let mut monitor = Monitor::new(baseline(), 0);
    for step in [100, 200] {
        monitor.observe(step, healthy());
    }
    assert_eq!(monitor.healthy_until(), 200);
    let mut sure = healthy();
    (sure.losses.d_real, sure.losses.d_fake) = (Some(1.), Some(0.));
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
