//! Tests of batches that are divided: several ranks, or several parts one after the other, train as
//! one process does with the whole batch.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use candle_core::{Device, Tensor, Var};
use gan_models::{DiscriminatorConfig, DiscriminatorNorm, GeneratorNorm, ModelConfig, Params, preset};
use gan_ops::rng::Stream;
use gan_train::group::{Collectives, LocalLink};
use gan_train::penalty::{OneCentered, Points, ZeroCentered};
use gan_train::{
    Algorithm, Augment, EmaConfig, Examples, InstanceNoise, Loss, OptimizerConfig, StepReport, TrainConfig,
    Trainer,
};
use std::sync::Arc;

const STEPS: u64 = 20;
/// After so many steps, rounding has not grown yet.
const EARLY: u64 = 3;
/// It can be divided by 2, 3, 4 and 6, and each part by a pack of 2.
const BATCH: usize = 24;

/// A run to compare: the networks and their training.
struct Case {
    name: &'static str,
    model: ModelConfig,
    train: TrainConfig,
}

/// What a run has come to.
struct End {
    /// Weights and statistics of both networks and of the average.
    weights: Vec<f32>,
    /// Weights of both networks after the first steps.
    early: Vec<f32>,
    reports: Vec<StepReport>,
}

fn dcgan(discriminator: DiscriminatorConfig) -> ModelConfig {
    let mut model = preset::dcgan_28();
    (model.latent_dim, model.generator.widths) = (8, vec![8, 4]);
    model.generator.norm = GeneratorNorm::None;
    model.discriminator = DiscriminatorConfig { widths: vec![4, 8], ..discriminator };
    model
}

fn plain(loss: Loss) -> TrainConfig {
    TrainConfig { loss, ..TrainConfig::new(STEPS, OptimizerConfig::new(1e-3, (0.5, 0.9))) }
}

/// Every objective, penalty and setting that draws random numbers, without layers that couple samples.
fn cases() -> Vec<Case> {
    let without_norm =
        DiscriminatorConfig { norm: DiscriminatorNorm::None, ..preset::dcgan_28().discriminator };
    let free = || dcgan(without_norm.clone());
    let case = |name, model, train| Case { name, model, train };
    let penalty = |at| Some(OneCentered { weight: 10., at });
    let mut conditional = free();
    conditional.classes = Some(3);
    let mut dropping = preset::mlp_002();
    dropping.discriminator.dropout = Some(0.3);
    let augment =
        Augment { color: true, translation: Some(0.125), cutout: Some(0.5), probability: Some(0.7) };
    vec![
        case(
            "relativistic, R1, R2, classes, augmentation, noise, average",
            conditional,
            TrainConfig {
                r1: Some(ZeroCentered::new(0.5)),
                r2: Some(ZeroCentered { every: 3, ..ZeroCentered::new(0.5) }),
                augment: Some(augment),
                instance_noise: Some(InstanceNoise { deviation: 0.1, schedule: None }),
                ema: Some(EmaConfig::new(0.1)),
                ..plain(Loss::Relativistic)
            },
        ),
        case(
            "WGAN-GP with several updates of both and packed images",
            dcgan(DiscriminatorConfig { pack: 2, ..without_norm.clone() }),
            TrainConfig {
                gradient_penalty: penalty(Points::Interpolates),
                d_steps: 3,
                g_steps: 2,
                ..plain(Loss::Wasserstein)
            },
        ),
        case(
            "DRAGAN, least squares",
            free(),
            TrainConfig { gradient_penalty: penalty(Points::AroundReal), ..plain(Loss::LeastSquares) },
        ),
        case(
            "hinge with spectral norm",
            dcgan(DiscriminatorConfig { norm: DiscriminatorNorm::Spectral, ..without_norm.clone() }),
            plain(Loss::Hinge),
        ),
        case(
            "minimax with clipping, smoothing and RMSprop",
            free(),
            TrainConfig {
                weight_clip: Some(0.05),
                label_smoothing: 0.1,
                discriminator: OptimizerConfig {
                    optimizer: Algorithm::Rmsprop,
                    ..OptimizerConfig::new(1e-3, (0., 0.9))
                },
                ..plain(Loss::Minimax)
            },
        ),
        case("non-saturating, MLP with dropout", dropping, plain(Loss::NonSaturating)),
    ]
}

/// The share of a rank in the real images of a step: its rows of each of D's batches.
fn share(case: &Case, step: u64, rank: usize, ranks: usize) -> Examples {
    let side = case.model.image_size;
    let batches = case.train.d_steps as usize;
    let all = Stream::new(9, "data", step)
        .uniform(-1., 1., (batches * BATCH, case.model.channels, side, side), &Device::Cpu)
        .unwrap();
    let rows = BATCH / ranks;
    let starts = (0..batches).map(|i| i * BATCH + rank * rows);
    let images: Vec<Tensor> = starts.clone().map(|start| all.narrow(0, start, rows).unwrap()).collect();
    let labels = case.model.classes.map(|classes| {
        starts.flat_map(|start| (start..start + rows).map(|row| (row * 7 % classes) as u16)).collect()
    });
    Examples { images: Tensor::cat(&images, 0).unwrap(), labels }
}

fn values<'v>(vars: impl Iterator<Item = &'v Var>) -> Vec<f32> {
    vars.flat_map(|var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

fn state(trainer: &Trainer) -> Vec<f32> {
    let average = trainer.sampler().unwrap();
    let networks = [trainer.generator().params(), trainer.discriminator().params(), average.params()];
    values(networks.into_iter().flat_map(Params::iter).map(|(_, var)| var))
}

fn start(case: &Case, accumulate: u64) -> Trainer {
    let train = TrainConfig { accumulate, ..case.train.clone() };
    Trainer::new(&case.model, &train, 3, &Device::Cpu).unwrap()
}

/// Trains as each of `ranks` ranks, with `accumulate` parts each.
fn run(case: &Case, ranks: usize, accumulate: u64) -> Vec<End> {
    std::thread::scope(|scope| {
        let train = |link: LocalLink| {
            let rank = gan_train::group::Link::rank(&link);
            let mut trainer = start(case, accumulate).in_group(Arc::new(Collectives::new(link))).unwrap();
            let (mut reports, mut early) = (vec![], vec![]);
            for step in 0..STEPS {
                reports.push(trainer.step(share(case, step, rank, ranks)).unwrap());
                if step + 1 == EARLY {
                    let networks = [trainer.generator().params(), trainer.discriminator().params()];
                    early = values(networks.into_iter().flat_map(Params::trained).map(|(_, var)| var));
                }
            }
            End { weights: state(&trainer), early, reports }
        };
        let links = LocalLink::group(ranks).into_iter();
        let threads: Vec<_> = links.map(|link| scope.spawn(move || train(link))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The share of the weights that differ by more than a tenth of the rate, which is about a tenth of the way
/// of one update.
fn different(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| (*a - *b).abs() > 1e-4).count() as f64 / a.len() as f64
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

/// Checks that both runs had the same weights after the first steps, within rounding. A gradient that is 0
/// but for rounding, such as that of D's last bias with a relativistic loss, moves a weight by a whole rate,
/// because Adam divides it by its own size. So a few weights differ.
fn assert_equal_early(what: &str, found: &End, expected: &End) {
    let share = different(&found.early, &expected.early);
    assert!(share < 2e-3, "{what}: a share of {share} of the weights differs");
}

/// Checks that both runs reported the same numbers and came to the same weights, but for what becomes of
/// rounding in 20 steps of Adam. `moved` is how far the weights have come.
fn assert_equal(what: &str, found: &End, expected: &End, moved: f64) {
    assert_equal_early(what, found, expected);
    let off = distance(&found.weights, &expected.weights) / moved;
    assert!(off < 0.03, "{what}: the weights differ by {off} of the way");
    for (found, expected) in found.reports.iter().zip(&expected.reports) {
        let values = |report: &StepReport| {
            let [real, fake] = report.certainty.unwrap_or_default();
            [report.d_loss, report.penalty, report.g_loss, real, fake]
        };
        for (found, expected) in values(found).iter().zip(values(expected)) {
            let near = (found - expected).abs() <= 1e-3 * expected.abs().max(0.1);
            assert!(near, "{what}: {found} for {expected}");
        }
    }
}

#[test]
fn ranks_and_parts_train_as_one_process_does() {
    for case in cases() {
        let alone = run(&case, 1, 1).remove(0);
        let moved = distance(&state(&start(&case, 1)), &alone.weights);
        // With candle's own operations, all of them would take minutes.
        let all: &[_] = if cfg!(feature = "fused") {
            &[(1, 2), (1, 3), (2, 1), (3, 1), (4, 1), (2, 3)]
        } else {
            &[(1, 3), (3, 1)]
        };
        for &(ranks, accumulate) in all {
            let ends = run(&case, ranks, accumulate);
            for end in &ends {
                assert!(end.weights == ends[0].weights, "{}: the ranks differ", case.name);
                let what = format!("{}, {ranks} ranks, {accumulate} parts", case.name);
                assert_equal(&what, end, &alone, moved);
            }
            if ranks == 3 {
                let again = run(&case, ranks, accumulate).remove(0);
                assert!(again.weights == ends[0].weights, "{}: not the same bytes again", case.name);
            }
        }
    }
}

/// The comparison above would see it if each rank drew random numbers of its own.
#[test]
fn other_random_numbers_make_a_difference_that_is_seen() {
    for case in cases() {
        let alone = run(&case, 1, 1).remove(0).weights;
        let moved = distance(&state(&start(&case, 1)), &alone);
        let mut other = start(&case, 1);
        for step in 0..STEPS {
            let latents = BATCH as u64 * (case.train.d_steps + case.train.g_steps - 1);
            let z = other.noise(step + 100, latents as usize).unwrap();
            other.step_with(share(&case, step, 0, 1), &z).unwrap();
        }
        let off = distance(&state(&other), &alone) / moved;
        assert!(off > 0.1, "{}: {off}", case.name);
    }
}

/// With synchronised batch norm, ranks train as one process does, whatever the number of ranks is.
#[test]
fn synchronised_batch_norm_sees_the_whole_batch() {
    let mut model = dcgan(preset::dcgan_28().discriminator);
    model.generator.norm = GeneratorNorm::Batch;
    model.sync_batch_norm = true;
    let case = Case {
        name: "synchronised batch norm",
        model,
        train: TrainConfig { ema: Some(EmaConfig::new(0.1)), d_steps: 2, ..plain(Loss::NonSaturating) },
    };
    let alone = run(&case, 1, 1).remove(0);
    let moved = distance(&state(&start(&case, 1)), &alone.weights);
    for ranks in [2, 3, 4] {
        let ends = run(&case, ranks, 1);
        for end in &ends {
            assert!(end.weights == ends[0].weights, "the {ranks} ranks differ");
            assert_equal(&format!("{ranks} ranks"), end, &alone, moved);
            let off = distance(&end.weights, &alone.weights) / moved;
            assert!(off < 1e-5, "{ranks} ranks: the weights differ by {off} of the way");
        }
        let again = run(&case, ranks, 1).remove(0);
        assert!(again.weights == ends[0].weights, "{ranks} ranks: not the same bytes again");
    }
    let refused = TrainConfig { accumulate: 2, ..case.train.clone() };
    let problem = Trainer::new(&case.model, &refused, 3, &Device::Cpu).unwrap_err().to_string();
    assert!(problem.contains("train.accumulate: expected 1 with model.sync-batch-norm"), "{problem}");
}

/// Batch norm and minibatch standard deviation see the samples of their part only, as in PyTorch's
/// `DistributedDataParallel`. So two ranks compute what one process with two parts does, but not what one
/// with the whole batch does.
#[test]
fn layers_that_couple_samples_see_their_part() {
    let normed = dcgan(preset::dcgan_28().discriminator);
    let deviating = DiscriminatorConfig {
        norm: DiscriminatorNorm::None,
        minibatch_std: Some(4),
        ..normed.discriminator.clone()
    };
    for (name, discriminator) in [("minibatch deviation", deviating), ("batch norm", normed.discriminator)] {
        let mut model = dcgan(discriminator);
        model.generator.norm = GeneratorNorm::Batch;
        let case = Case { name, model, train: plain(Loss::NonSaturating) };
        let [whole, parts] = [1, 2].map(|parts| run(&case, 1, parts).remove(0));
        let ranks = run(&case, 2, 1);
        assert!(ranks[0].weights == ranks[1].weights, "{name}");
        assert_equal_early(name, &ranks[0], &parts);
        assert!(different(&whole.early, &parts.early) > 0.3, "{name}");
    }
}
