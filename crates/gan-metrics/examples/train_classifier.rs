//! Trains the classifier whose features the metrics use, and prints its accuracy on the test
//! split.
//!
//! `cargo xtask train-classifier --data-dir DIR` runs it. DIR holds the files of MNIST, or of
//! other gray images with labels.
#![expect(clippy::print_stdout, reason = "a program shows its progress and its result")]

#[path = "train_classifier/augment.rs"]
mod augment;
#[path = "train_classifier/options.rs"]
mod options;

use anyhow::{Context, Result};
use augment::Augment;
use candle_core::{Device, Tensor};
use gan_data::{Batches, BatchesConfig, DataConfig, Dataset, LastBatch, Range, Split};
use gan_metrics::Classifier;
use gan_metrics::classifier::{CHUNK, Record, SIDE};
use gan_models::{Batch, Draws, Wanted};
use gan_ops::AdamHyper;
use gan_train::{Algorithm, Optimizer};
use options::Options;

const BATCH: usize = 128;
/// Initial learning rate. It falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv
/// 1608.03983).
const LR: f64 = 2e-3;

fn main() -> Result<()> {
    let Some(options) = Options::parse()? else { return Ok(()) };
    let device = Device::Cpu;
    let data = DataConfig::of(options.name, Some(options.data_dir.clone()));
    let load = |split| data.load(split, SIDE, 1);
    let (train, test) = (load(Split::Train)?, load(Split::Test)?);
    let classes = train.class_counts().context("training needs labels")?.len();
    let mut record = Record {
        data: train.name().to_owned(),
        classes,
        images: train.len() as u64,
        epochs: options.epochs,
        seed: options.seed,
        test_accuracy: 0.,
    };
    let classifier = Classifier::new(record.clone(), &device)?;
    println!("{} training images, {} parameters", train.len(), classifier.params().count());
    fit(&classifier, train, &test, &options, &device)?;
    record.test_accuracy = accuracy(&classifier, &test, &device)?;
    println!("test accuracy {:.2}%", record.test_accuracy * 100.);
    classifier.with_record(record).save(&options.out)?;
    println!("wrote {}", options.out.display());
    Ok(())
}

fn fit(
    classifier: &Classifier,
    train: Dataset,
    test: &Dataset,
    options: &Options,
    device: &Device,
) -> Result<()> {
    let labels = train.labels().context("training needs labels")?.to_vec();
    let batches = Batches::new(
        train,
        BatchesConfig {
            batch_size: BATCH,
            seed: options.seed,
            range: Range::MinusOneOne,
            channels: 1,
            keep_last: LastBatch::Drop,
            flip: false,
        },
    )?;
    let mut gradients = classifier.gradients();
    let hyper = AdamHyper { lr: LR, betas: (0.9, 0.999), eps: 1e-8 };
    let mut adam = Optimizer::new(classifier.params(), Algorithm::Adam, hyper)?;
    let per_epoch = batches.batches_per_epoch();
    let steps = options.epochs * per_epoch;
    let mut sum = 0.;
    for step in 0..steps {
        let progress = step as f64 / steps as f64;
        let lr = LR * 0.5 * (1. + (std::f64::consts::PI * progress).cos());
        let targets: Vec<u16> = batches.indices(step).iter().map(|&i| labels[i as usize]).collect();
        let images = Augment::new(options.seed, step).apply(&batches.batch(step, device)?)?;
        let prepared = classifier.prepare()?;
        let pass = prepared.forward(&Batch::new(&images)?, Draws::default())?;
        let (loss, slope) = cross_entropy(&pass.output().to_tensor()?.flatten_from(1)?, &targets)?;
        gradients.clear();
        pass.backward(&Batch::new(&slope)?, Some(&mut gradients), Wanted::Nothing)?;
        adam.step_with(&gradients, AdamHyper { lr, ..hyper })?;
        sum += loss;
        if (step + 1) % per_epoch == 0 {
            let epoch = (step + 1) / per_epoch;
            let reached = accuracy(classifier, test, device)? * 100.;
            println!("epoch {epoch}: loss {:.4}, test accuracy {reached:.2}%", sum / per_epoch as f32);
            sum = 0.;
        }
    }
    Ok(())
}

/// Computes the mean cross-entropy and its gradient with respect to `logits: [B, classes]`.
/// Targets are not smoothed. Smoothing would move the features of each class closer together
/// (Müller et al. 2019, arXiv 1906.02629), but the metrics need the differences between these
/// features.
fn cross_entropy(logits: &Tensor, targets: &[u16]) -> Result<(f32, Tensor)> {
    let (rows, shape) = (logits.to_vec2::<f32>()?, logits.shape().clone());
    let count = rows.len() as f32;
    let (mut loss, mut slope) = (0., Vec::with_capacity(shape.elem_count()));
    for (row, &target) in rows.iter().zip(targets) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = row.iter().map(|x| (x - largest).exp()).sum::<f32>().ln() + largest;
        loss += (log_sum - row[usize::from(target)]) / count;
        for (class, &logit) in row.iter().enumerate() {
            let wanted = f32::from(u8::from(class == usize::from(target)));
            slope.push(((logit - log_sum).exp() - wanted) / count);
        }
    }
    Ok((loss, Tensor::from_vec(slope, shape, logits.device())?))
}

/// Computes the share of the images whose label has the largest logit.
fn accuracy(classifier: &Classifier, data: &Dataset, device: &Device) -> Result<f64> {
    let labels = data.labels().context("a test needs labels")?;
    let mut named = vec![];
    for images in data.tensors(usize::MAX, CHUNK, 1, Range::MinusOneOne, device) {
        let (_, logits) = classifier.forward(&images?)?;
        named.extend(logits.argmax(1)?.to_vec1::<u32>()?);
    }
    let hits = named.iter().zip(labels).filter(|(named, label)| **named == u32::from(**label)).count();
    Ok(hits as f64 / data.len() as f64)
}
