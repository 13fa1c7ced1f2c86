//! Metrics from a classifier's probabilities. They are the classifier score, the shares of
//! classes, the accuracy, and the modes of stacked digits.

use crate::rows::Rows;
use crate::{MetricsError, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Maximum difference between 1 and the sum of one image's probabilities. It is well above f32's
/// rounding.
const SUM_TOLERANCE: f64 = 1e-3;

/// Computes `exp(E KL(p(y|x) || p(y)))`: the inception score of Salimans et al. 2016, arXiv
/// 1606.03498, with any classifier. It is 1 if the classifier gives the same probabilities for all
/// images. It is K if the classifier is certain about each image and all K classes are equally
/// frequent.
///
/// `probabilities: [M, K]`, where each row comes from a softmax. The score is computed over the
/// whole set. The paper averages over ten parts, which makes the score smaller. The difference is
/// larger for fewer images. `0 log 0` is 0.
///
/// # Errors
/// If type or rank are different, there are no rows, or a row does not contain probabilities.
pub fn classifier_score(probabilities: &Tensor) -> Result<f64> {
    Ok(score(&probability_rows(probabilities)?))
}

/// How frequent each class is, compared with a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// For each of the K classes, the share of the images for which it is the most probable class.
    pub shares: Vec<f64>,
    /// `sum_k shares_k ln(shares_k / reference_k)`, in nats. It is 0 if the shares are equal to
    /// the reference's shares. A class that is missing in the reference counts as half an image
    /// there, so that the sum is finite.
    pub kl: f64,
    /// Number of the reference's classes whose share is at least a tenth of their share in the
    /// reference.
    pub covered: usize,
    /// Number of the reference's classes. Its classes are those with a share above 0.
    pub of: usize,
}

impl Classes {
    /// Compares the classes of the images with `probabilities: [M, K]` and the classes of the
    /// images with `reference: [N, K]`. If several classes are equally probable, the first of them
    /// counts.
    ///
    /// # Errors
    /// The same as for [`classifier_score`], and if K differs.
    pub fn of(probabilities: &Tensor, reference: &Tensor) -> Result<Self> {
        let probabilities = probability_rows(probabilities)?;
        let reference = probability_rows(reference)?;
        probabilities.check_width("probabilities", reference.width())?;
        Ok(Self::compare(&class_counts(&probabilities), &class_counts(&reference)))
    }

    /// Compares the numbers of images in each class.
    pub(crate) fn compare(counts: &[u64], reference: &[u64]) -> Self {
        let (total, reference_total) = (sum(counts), sum(reference));
        let shares: Vec<_> = counts.iter().map(|&count| count as f64 / total).collect();
        let pairs = || shares.iter().zip(reference);
        let kl = pairs().map(|(&share, &count)| {
            let expected = (count as f64).max(0.5) / reference_total;
            relative_entropy(share, expected)
        });
        let covered = pairs()
            .filter(|&(&share, &count)| count > 0 && share >= 0.1 * count as f64 / reference_total)
            .count();
        Self { kl: kl.sum(), covered, of: reference.iter().filter(|&&count| count > 0).count(), shares }
    }
}

/// How often the classifier recognizes the class of an image, or the class requested from the
/// generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Share of all images that are recognized.
    pub overall: f64,
    /// The same share for each class. `None` for a class without images.
    pub of_classes: Vec<Option<f64>>,
}

impl Accuracy {
    /// Takes checked rows of probabilities, with the same number of rows for each of `labels`. The
    /// recognized class of an image has the largest sum over the image's rows.
    pub(crate) fn of(probabilities: &Rows, labels: &[u16]) -> Self {
        let width = probabilities.width();
        let mut counts = vec![(0u64, 0u64); width];
        let at_once = probabilities.values().len() / labels.len();
        for (rows, label) in probabilities.values().chunks_exact(at_once).zip(labels) {
            let mut sums = vec![0f32; width];
            for row in rows.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
            }
            let best =
                sums.iter().enumerate().fold(0, |best, (i, sum)| if *sum > sums[best] { i } else { best });
            let (right, all) = &mut counts[usize::from(*label)];
            *all += 1;
            *right += u64::from(best == usize::from(*label));
        }
        let share = |&(right, all): &(u64, u64)| (all > 0).then(|| right as f64 / all as f64);
        let right: u64 = counts.iter().map(|count| count.0).sum();
        Self { overall: right as f64 / labels.len() as f64, of_classes: counts.iter().map(share).collect() }
    }
}

/// Modes of stacked digits. An image has three channels with a digit in each, so it is one of 1000
/// (Metz et al. 2017, arXiv 1611.02163). VEEGAN, arXiv 1705.07761, and `PacGAN`, arXiv 1712.04086,
/// report `covered` and `kl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Modes {
    /// Modes with at least one image.
    pub covered: usize,
    /// Number of all modes: 1000.
    pub of: usize,
    /// `sum_m p_m ln(1000 p_m)`, in nats. The reference is that all modes are equally frequent.
    pub kl: f64,
}

impl Modes {
    /// Counts the modes of images from the classes of their three channels.
    ///
    /// # Errors
    /// If there are no images, or a class is above 9.
    pub fn of(digits: &[[u8; 3]]) -> Result<Self> {
        const MODES: usize = 1000;
        if digits.is_empty() {
            return Err(MetricsError::input("digits", "at least 1 image", 0));
        }
        let mut counts = [0u64; MODES];
        for digits in digits {
            if let Some(digit) = digits.iter().find(|&&digit| digit > 9) {
                return Err(MetricsError::input("digits", "0 to 9", digit));
            }
            counts[digits.iter().fold(0, |mode, &digit| 10 * mode + usize::from(digit))] += 1;
        }
        let total = sum(&counts);
        let kl = counts.iter().map(|&count| relative_entropy(count as f64 / total, 1. / MODES as f64));
        Ok(Self { covered: counts.iter().filter(|&&count| count > 0).count(), of: MODES, kl: kl.sum() })
    }
}

/// Checks rows of probabilities.
pub(crate) fn probability_rows(probabilities: &Tensor) -> Result<Rows> {
    let rows = Rows::new("probabilities", probabilities, 1)?;
    for row in rows.values().chunks_exact(rows.width()) {
        let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
        if row.iter().any(|&p| p < 0.) || (sum - 1.).abs() > SUM_TOLERANCE {
            let expected = "rows of numbers from 0 on that add up to 1";
            return Err(MetricsError::input(
                "probabilities",
                expected,
                format!("a row that adds up to {sum}"),
            ));
        }
    }
    Ok(rows)
}

/// The [`classifier_score`] of checked rows.
pub(crate) fn score(probabilities: &Rows) -> f64 {
    let (values, width) = (probabilities.values(), probabilities.width());
    let mut marginal = vec![0.; width];
    for row in values.chunks_exact(width) {
        marginal.iter_mut().zip(row).for_each(|(sum, &p)| *sum += f64::from(p));
    }
    let count = probabilities.count() as f64;
    for mean in &mut marginal {
        *mean /= count;
    }
    let divergence = |row: &[f32]| -> f64 {
        row.iter().zip(&marginal).map(|(&p, &mean)| relative_entropy(f64::from(p), mean)).sum()
    };
    (values.chunks_exact(width).map(divergence).sum::<f64>() / count).exp()
}

/// Number of images for which each class is the most probable one.
pub(crate) fn class_counts(probabilities: &Rows) -> Vec<u64> {
    let mut counts = vec![0; probabilities.width()];
    for class in classes(probabilities) {
        counts[class] += 1;
    }
    counts
}

/// The most probable class of each row. If classes are equally probable, it is the first.
pub(crate) fn classes(probabilities: &Rows) -> Vec<usize> {
    let best = |row: &[f32]| (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    probabilities.values().chunks_exact(probabilities.width()).map(best).collect()
}

/// `p ln(p / q)`.
fn relative_entropy(p: f64, q: f64) -> f64 {
    if p > 0. { p * (p / q).ln() } else { 0. }
}

fn sum(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Returns one row for each class, with probability 1 for that class.
    fn sure(classes: &[usize], of: usize) -> Tensor {
        let values = classes.iter().flat_map(|&class| (0..of).map(move |k| f32::from(u8::from(k == class))));
        Tensor::from_vec(values.collect::<Vec<_>>(), (classes.len(), of), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_score_counts_classes() -> Result<()> {
        let score = |probabilities: &Tensor| classifier_score(probabilities).unwrap();
        assert!((score(&sure(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10)) - 10.).abs() < 1e-12);
        assert!((score(&sure(&[3, 8, 3, 8], 10)) - 2.).abs() < 1e-12);
        assert!((score(&sure(&[3, 3], 10)) - 1.).abs() < 1e-12);
        let unsure = Tensor::new(&[[0.5f32, 0.5], [0.5, 0.5]], &Device::Cpu)?;
        assert!((score(&unsure) - 1.).abs() < 1e-12);
        // The divergence of both images is KL((3/4, 1/4) || (1/2, 1/2)).
        let half_sure = Tensor::new(&[[0.75f32, 0.25], [0.25, 0.75]], &Device::Cpu)?;
        let expected = (0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln()).exp();
        assert!((score(&half_sure) - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn what_is_no_probability() -> Result<()> {
        for rows in [[[0.5f32, 0.6], [0.5, 0.5]], [[1.5, -0.5], [0.5, 0.5]], [[0.5, f32::NAN], [0.5, 0.5]]] {
            assert!(classifier_score(&Tensor::new(&rows, &Device::Cpu)?).is_err(), "{rows:?}");
        }
        assert!(classifier_score(&Tensor::zeros((0, 10), candle_core::DType::F32, &Device::Cpu)?).is_err());
        assert!(Classes::of(&sure(&[0], 2), &sure(&[0], 3)).is_err());
        Ok(())
    }

    #[test]
    fn classes_beside_the_reference() -> Result<()> {
        // Of 100 images, the reference has 80, 19, 1 and 0 in each class. The images have 50, 1, 0
        // and 49.
        let reference = sure(&[vec![0; 80], vec![1; 19], vec![2]].concat(), 4);
        let here = sure(&[vec![0; 50], vec![1; 1], vec![3; 49]].concat(), 4);
        let classes = Classes::of(&here, &reference)?;
        assert_eq!(classes.shares, [0.5, 0.01, 0., 0.49]);
        // The second class has less than a tenth of 19%. The last is not a class of the reference.
        assert_eq!((classes.covered, classes.of), (1, 3));
        let expected =
            0.5 * (0.5f64 / 0.8).ln() + 0.01 * (0.01f64 / 0.19).ln() + 0.49 * (0.49f64 / 0.005).ln();
        assert!((classes.kl - expected).abs() < 1e-12);
        let itself = Classes::of(&reference, &reference)?;
        assert_eq!((itself.kl, itself.covered, itself.of), (0., 3, 3));
        let tie = Tensor::new(&[[0.2f32, 0.4, 0.4]], &Device::Cpu)?;
        assert_eq!(Classes::of(&tie, &tie)?.shares, [0., 1., 0.]);
        Ok(())
    }

    #[test]
    fn modes_of_stacked_digits() -> Result<()> {
        let all: Vec<_> =
            (0..1000).map(|mode| [mode / 100, mode / 10 % 10, mode % 10].map(|d| d as u8)).collect();
        let modes = Modes::of(&all)?;
        assert_eq!((modes.covered, modes.of), (1000, 1000));
        assert!(modes.kl.abs() < 1e-12);
        let one = Modes::of(&[[7, 7, 7]; 5])?;
        assert!(one.covered == 1 && (one.kl - 1000f64.ln()).abs() < 1e-12);
        assert_eq!(Modes::of(&[[1, 2, 3], [3, 2, 1], [2, 1, 3], [1, 2, 3]])?.covered, 3);
        assert!(Modes::of(&[]).is_err());
        assert!(Modes::of(&[[0, 10, 0]]).is_err());
        Ok(())
    }
}
