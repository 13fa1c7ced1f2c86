//! The training of the classifier.

use super::augment::{Augment, Outside};
use super::has_black_frame;
use crate::signals::Stop;
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use gan_data::{Batches, BatchesConfig, Dataset, LastBatch, Range};
use gan_metrics::Classifier;
use gan_metrics::classifier::{CHUNK, Record};
use gan_models::{Batch, Draws, Wanted};
use gan_ops::AdamHyper;
use gan_train::{Algorithm, Optimizer};

const BATCH: usize = 128;
/// Initial learning rate. It falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv
/// 1608.03983).
const LR: f64 = 2e-3;
/// Default number of passes over the images.
const EPOCHS: u64 = 40;
/// Smallest number of steps by default. Few images have more epochs for this.
const STEPS: u64 = 1000;
/// Number of lines about the progress.
const LINES: u64 = 40;

/// The default number of passes over this number of images.
pub(super) fn epochs(images: usize) -> u64 {
    EPOCHS.max(STEPS.div_ceil((images as u64 / BATCH as u64).max(1)))
}

/// Trains `classifier` on `train`, as `record` says. The accuracy on `test` is only reported.
pub(super) fn fit(
    classifier: &Classifier,
    train: Dataset,
    test: &Dataset,
    record: &Record,
    flip: bool,
    stop: &Stop,
) -> Result<()> {
    let device = Device::Cpu;
    let labels = train.labels().context("training needs labels")?.to_vec();
    let batches = Batches::new(
        train,
        BatchesConfig {
            batch_size: BATCH.min(labels.len()),
            seed: record.seed,
            range: Range::MinusOneOne,
            channels: record.channels,
            keep_last: LastBatch::Drop,
            flip,
        },
    )?;
    let outside = if has_black_frame(record) { Outside::Black } else { Outside::Border };
    let mut gradients = classifier.gradients();
    let hyper = AdamHyper { lr: LR, betas: (0.9, 0.999), eps: 1e-8 };
    let mut adam = Optimizer::new(classifier.params(), Algorithm::Adam, hyper)?;
    let per_epoch = batches.batches_per_epoch();
    let (steps, epochs_in_line) = (record.epochs * per_epoch, record.epochs.div_ceil(LINES));
    let (mut sum, mut count) = (0., 0);
    for step in 0..steps {
        stop.check()?;
        let progress = step as f64 / steps as f64;
        let lr = LR * 0.5 * (1. + (std::f64::consts::PI * progress).cos());
        let targets: Vec<u16> = batches.indices(step).iter().map(|&i| labels[i as usize]).collect();
        let images = batches.batch(step, &device)?;
        let images = Augment::new(record.seed, step, outside).apply(&images)?;
        let prepared = classifier.prepare()?;
        let pass = prepared.forward(&Batch::new(&images)?, Draws::default())?;
        let (loss, slope) = cross_entropy(&pass.output().to_tensor()?.flatten_from(1)?, &targets)?;
        gradients.clear();
        pass.backward(&Batch::new(&slope)?, Some(&mut gradients), Wanted::Nothing)?;
        adam.step_with(&gradients, AdamHyper { lr, ..hyper })?;
        (sum, count) = (sum + loss, count + 1);
        if (step + 1).is_multiple_of(per_epoch * epochs_in_line) {
            let (epoch, epochs) = ((step + 1) / per_epoch, record.epochs);
            let reached = accuracy(classifier, test)? * 100.;
            let mean = sum / count as f32;
            tracing::info!("epoch {epoch}/{epochs}  loss {mean:.4}  test accuracy {reached:.2}%");
            (sum, count) = (0., 0);
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
pub(super) fn accuracy(classifier: &Classifier, data: &Dataset) -> Result<f64> {
    let labels = data.labels().context("a test needs labels")?;
    let channels = classifier.record().channels;
    let mut named = vec![];
    for images in data.tensors(usize::MAX, CHUNK, channels, Range::MinusOneOne, &Device::Cpu) {
        let (_, logits) = classifier.forward(&images?)?;
        named.extend(logits.argmax(1)?.to_vec1::<u32>()?);
    }
    let hits = named.iter().zip(labels).filter(|(named, label)| **named == u32::from(**label)).count();
    Ok(hits as f64 / data.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_have_more_epochs() {
        assert_eq!([60_000, 3_200, 640, 10].map(epochs), [40, 40, 200, 1000]);
    }

    #[test]
    fn the_slope_of_cross_entropy_is_softmax_minus_the_target() {
        let logits = Tensor::new(&[[0f32, 2f32.ln(), 0.], [0., 0., 0.]], &Device::Cpu).unwrap();
        let (loss, slope) = cross_entropy(&logits, &[1, 0]).unwrap();
        assert!((loss - 2f32.ln().midpoint(3f32.ln())).abs() < 1e-6, "{loss}");
        let slope = (slope * 2.).unwrap().to_vec2::<f32>().unwrap();
        let expected = [[0.25, -0.5, 0.25], [-2. / 3., 1. / 3., 1. / 3.]];
        for (found, expected) in slope.concat().iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-6, "{slope:?}");
        }
    }
}
