//! The inputs of a generator: random vectors, and the class of the image to make.

use crate::config::ModelConfig;
use candle_core::{Device, Result, Tensor};
use gan_ops::rng::Stream;
use serde::{Deserialize, Serialize};

/// The distribution of the elements of `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// The standard normal distribution.
    #[default]
    Normal,
    /// The uniform distribution on [-1, 1).
    Uniform,
}

/// How to draw a model's latents. A latent is a row of `z`. If the model has classes, a label
/// follows: a vector of zeros with a one at the class. The product of that vector and the first
/// layer's weight is an embedding of the class, and the network learns it with that layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latents {
    distribution: Distribution,
    latent_dim: usize,
    classes: Option<usize>,
    truncation: Option<f32>,
}

impl ModelConfig {
    /// How to draw this model's latents.
    #[must_use]
    pub fn latents(&self) -> Latents {
        Latents {
            distribution: self.latent,
            latent_dim: self.latent_dim,
            classes: self.classes,
            truncation: None,
        }
    }
}

impl Latents {
    /// Keeps every element of `z` within `limit` of 0. For the normal distribution, elements
    /// beyond the limit are drawn again (the truncation trick of Brock et al. 2019, arXiv
    /// 1809.11096, section 3.1). For the uniform distribution, all elements are scaled.
    ///
    /// # Errors
    /// A limit that is not finite, or is below 0.01: then nearly every element would be drawn
    /// again.
    pub fn truncated(self, limit: f64) -> Result<Self> {
        if !(limit >= 0.01 && limit.is_finite()) {
            candle_core::bail!("truncation: expected a number from 0.01, found {limit}")
        }
        Ok(Self { truncation: Some(limit as f32), ..self })
    }

    /// Number of elements in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.latent_dim + self.classes.unwrap_or(0)
    }

    /// Number of classes, if the model has classes.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// Draws the next `count` rows of a stream, `[count, width]`. With classes, each row has a
    /// random class. A row does not depend on how many rows are drawn at once.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn draw(&self, stream: &mut Stream, count: usize, device: &Device) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(count * self.width());
        for _ in 0..count {
            self.push_z(stream, &mut rows)?;
            if let Some(classes) = self.classes {
                let place = stream.uniform(0., 1., 1, &Device::Cpu)?.to_vec1::<f32>()?[0];
                push_label(&mut rows, (place * classes as f32) as usize, classes);
            }
        }
        Tensor::from_vec(rows, (count, self.width()), device)
    }

    /// Draws the next `count` rows of a stream without labels, `[count, latent_dim]`.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn draw_z(&self, stream: &mut Stream, count: usize, device: &Device) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(count * self.latent_dim);
        for _ in 0..count {
            self.push_z(stream, &mut rows)?;
        }
        Tensor::from_vec(rows, (count, self.latent_dim), device)
    }

    /// Draws the next rows of a stream, one for each label.
    ///
    /// # Errors
    /// A model without classes; a label that is no class.
    pub fn draw_of(&self, stream: &mut Stream, labels: &[u16], device: &Device) -> Result<Tensor> {
        let z = self.draw_z(stream, labels.len(), device)?;
        self.with_labels(&z, labels)
    }

    /// Appends labels to `z: [B, latent_dim]`.
    ///
    /// # Errors
    /// A model without classes; a label that is no class; a number of labels that is not `B`.
    pub fn with_labels(&self, z: &Tensor, labels: &[u16]) -> Result<Tensor> {
        let Some(classes) = self.classes else { candle_core::bail!("labels for a model without classes") };
        check_labels(labels, z.dim(0)?, classes)?;
        let mut rows = vec![];
        for label in labels {
            push_label(&mut rows, usize::from(*label), classes);
        }
        Tensor::cat(&[z, &Tensor::from_vec(rows, (labels.len(), classes), z.device())?], 1)
    }

    fn push_z(&self, stream: &mut Stream, rows: &mut Vec<f32>) -> Result<()> {
        let limit = self.truncation.unwrap_or(f32::INFINITY);
        match self.distribution {
            Distribution::Normal => {
                let start = rows.len();
                rows.extend(stream.normal(self.latent_dim, &Device::Cpu)?.to_vec1::<f32>()?);
                for value in &mut rows[start..] {
                    while value.abs() > limit {
                        *value = stream.normal(1, &Device::Cpu)?.to_vec1::<f32>()?[0];
                    }
                }
            }
            Distribution::Uniform => {
                let limit = limit.min(1.);
                rows.extend(stream.uniform(-limit, limit, self.latent_dim, &Device::Cpu)?.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }
}

/// Labels for `count` images, so that each class is as frequent as in data with `counts` images of each class.
/// The classes take turns, and the first labels do not depend on `count`. With equal counts, the labels are 0, 1,
/// 2, ... in turn.
#[must_use]
pub fn proportional_labels(counts: &[u64], count: usize) -> Vec<u16> {
    // A file may hold any counts, and their sum must fit.
    let mut weights: Vec<i128> = counts.iter().map(|count| i128::from(*count)).collect();
    if weights.iter().all(|weight| *weight == 0) {
        weights.fill(1);
    }
    let all: i128 = weights.iter().sum();
    // How far each class lags behind its share. The class that lags most is the next.
    let mut behind = vec![0; weights.len()];
    let mut next = || {
        behind.iter_mut().zip(&weights).for_each(|(behind, weight)| *behind += weight);
        let most = behind.iter().copied().max().unwrap_or(0);
        let class = behind.iter().position(|behind| *behind == most).unwrap_or(0);
        if let Some(behind) = behind.get_mut(class) {
            *behind -= all;
        }
        class as u16
    };
    (0..count).map(|_| next()).collect()
}

/// Refuses a number of labels that is not the number of samples, and a label that is no class.
pub(crate) fn check_labels(labels: &[u16], samples: usize, classes: usize) -> Result<()> {
    if labels.len() != samples {
        candle_core::bail!("expected {samples} labels, found {}", labels.len())
    }
    match labels.iter().find(|&&label| usize::from(label) >= classes) {
        Some(label) => candle_core::bail!("expected labels of {classes} classes, found {label}"),
        None => Ok(()),
    }
}

fn push_label(rows: &mut Vec<f32>, label: usize, classes: usize) {
    rows.extend((0..classes).map(|class| if class == label { 1. } else { 0. }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    fn rows(latents: &Latents, counts: &[usize]) -> Vec<Vec<f32>> {
        let mut stream = Stream::new(3, "latents", 0);
        let draw = |count: &usize| latents.draw(&mut stream, *count, &Device::Cpu).unwrap();
        counts.iter().map(draw).flat_map(|rows| rows.to_vec2::<f32>().unwrap()).collect()
    }

    #[test]
    fn rows_do_not_depend_on_how_many_are_drawn() {
        let mut config = preset::mlp_002();
        let plain = rows(&config.latents(), &[7]);
        // The stream alone gives the same values.
        let stream = Stream::new(3, "latents", 0).normal((7, 100), &Device::Cpu).unwrap();
        assert!(plain == stream.to_vec2::<f32>().unwrap());
        config.classes = Some(10);
        let truncated = config.latents().truncated(0.7).unwrap();
        assert!(rows(&truncated, &[7]) == rows(&truncated, &[3, 4]));
    }

    #[test]
    fn labels_are_one_of_all_and_even() {
        let mut config = preset::mlp_002();
        config.classes = Some(4);
        let all = rows(&config.latents(), &[400]);
        let mut counts = [0; 4];
        for row in &all {
            assert_eq!((row.len(), row[100..].iter().sum::<f32>()), (104, 1.));
            counts[row[100..].iter().position(|x| *x > 0.).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
        let mut stream = Stream::new(3, "latents", 0);
        let chosen = config.latents().draw_of(&mut stream, &[3, 0], &Device::Cpu).unwrap();
        let chosen = chosen.to_vec2::<f32>().unwrap();
        assert_eq!((&chosen[0][100..], &chosen[1][100..]), (&[0f32, 0., 0., 1.][..], &[1., 0., 0., 0.][..]));
        assert!(config.latents().draw_of(&mut stream, &[4], &Device::Cpu).is_err());
        config.classes = None;
        assert!(config.latents().draw_of(&mut stream, &[0], &Device::Cpu).is_err());
    }

    #[test]
    fn labels_have_the_shares_of_the_data() {
        assert_eq!(proportional_labels(&[5, 5, 5], 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(proportional_labels(&[0, 0], 3), [0, 1, 0]);
        assert_eq!(proportional_labels(&[u64::MAX; 3], 4), [0, 1, 2, 0]);
        assert!(proportional_labels(&[1], 2) == [0, 0] && proportional_labels(&[], 1) == [0]);
        let counts = [910, 0, 90];
        let labels = proportional_labels(&counts, 1000);
        let found = |class: u16, labels: &[u16]| labels.iter().filter(|label| **label == class).count();
        assert_eq!([0, 1, 2].map(|class| found(class, &labels)), [910, 0, 90]);
        // Every part has them, and the first labels are always the same.
        assert!(labels.chunks(100).all(|part| (8..=10).contains(&found(2, part))));
        assert_eq!(proportional_labels(&counts, 10), labels[..10]);
    }

    #[test]
    fn truncation_bounds_every_element() {
        let mut config = preset::mlp_002();
        for distribution in [Distribution::Normal, Distribution::Uniform] {
            config.latent = distribution;
            let largest = |latents: Latents| {
                rows(&latents, &[50]).concat().into_iter().map(f32::abs).fold(0., f32::max)
            };
            assert!(largest(config.latents()) > 0.9);
            let bounded = largest(config.latents().truncated(0.5).unwrap());
            assert!(bounded <= 0.5 && bounded > 0.45, "{bounded}");
            assert!(
                [0., -1., f64::NAN, f64::INFINITY]
                    .iter()
                    .all(|limit| config.latents().truncated(*limit).is_err())
            );
        }
    }
}
