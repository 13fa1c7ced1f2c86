//! Measures images. It measures the real images once, and the generated images at each check.

use super::vitals::{Baseline, ImageVitals};
use crate::bins::Clusters;
use crate::classifier::CHUNK;
use crate::error::{MetricsError, Result};
use crate::frechet::{Moments, frechet_distance};
use crate::memorisation::Memorisation;
use crate::neighbours::{nearest, nearest_others};
use crate::sample::evenly_spaced;
use crate::{Features, Look};
use candle_core::{Device, Tensor};

/// The smallest and the largest output of a generator with a final Tanh.
const TANH: [f64; 2] = [-1., 1.];
/// Side of the blocks of pixels that are averaged for the search for nearest images. A copy is
/// recognised at any resolution, and a quarter of the numbers takes a quarter of the time.
const BLOCK: usize = 2;

/// Measures generated images against real ones.
#[derive(Debug)]
pub struct Probe {
    features: Features,
    real: Traits,
    /// Bins of the real images, if the features know no classes.
    clusters: Option<Clusters>,
    /// Share of each class or bin in the real images.
    shares: Vec<f64>,
    /// Smallest and largest value that a pixel of the data can have.
    range: [f64; 2],
    moments: Moments,
    /// Distance of each real image to the nearest other real image.
    between: Vec<f64>,
    /// Fréchet distance of real images, as many as a check draws, from all real images. It is not
    /// yet divided by the variance.
    floor: f64,
}

/// Measurements of a set of images. [`ImageVitals`] explains them.
#[derive(Debug)]
struct Traits {
    count: usize,
    range: [f64; 2],
    /// Sum of the variances of the pixels.
    variance: f64,
    /// Number of images of each class, if the features know classes.
    classes: Option<Vec<u64>>,
    features: Tensor,
    blocks: Tensor,
}

impl Probe {
    /// Takes training images as the discriminator sees them: items `[N, C, H, W]` of some hundred
    /// images each. `range` is the smallest and the largest value that their pixels can have. Each
    /// check draws `samples` images. `features` computes the features and the classes of the images.
    ///
    /// # Errors
    /// Errors of the items; fewer than three images; another shape.
    pub fn new<E: From<MetricsError>>(
        features: Features,
        real: impl Iterator<Item = std::result::Result<Tensor, E>>,
        range: [f64; 2],
        samples: usize,
    ) -> std::result::Result<Self, E> {
        let mut looks = Looks::default();
        for images in real {
            looks.add(&features, &images?)?;
        }
        Ok(Self::of(features, looks.finish()?, range, samples)?)
    }

    fn of(features: Features, real: Traits, range: [f64; 2], samples: usize) -> Result<Self> {
        let count = real.count;
        if count < 3 {
            return Err(MetricsError::input("real images", "at least 3", count));
        }
        let moments = Moments::of(&real.features)?;
        let between = nearest_others(&real.blocks)?.iter().map(|n| n.distance).collect();
        let some = Tensor::new(evenly_spaced(count, samples.clamp(2, count - 1)), &Device::Cpu)?;
        let some = real.features.index_select(&some, 0)?;
        let floor = frechet_distance(&Moments::of(&some)?, &moments)?;
        let clusters = match real.classes {
            Some(_) => None,
            None => Some(Clusters::new(&real.features)?),
        };
        let shares = shares(&real, clusters.as_ref())?;
        Ok(Self { features, real, clusters, shares, range, moments, between, floor })
    }

    /// Returns the measurements of the data that [`super::Monitor`] needs. `weights` are the norms
    /// of both networks before the first step.
    #[must_use]
    pub fn baseline(&self, weights: [f64; 2]) -> Baseline {
        Baseline {
            count: self.real.count,
            range: self.range,
            reach: TANH,
            shares: self.shares.clone(),
            features: self.clusters.as_ref().map(|_| self.features.id().to_owned()),
            distance: self.floor / self.scatter(),
            weights,
        }
    }

    /// Measures generated `images: [N, C, H, W]` against the real ones.
    ///
    /// # Errors
    /// Another shape than the real images; values that are not finite.
    pub fn look(&self, images: &Tensor) -> Result<ImageVitals> {
        let mut looks = Looks::default();
        for start in (0..images.dim(0)?).step_by(CHUNK) {
            looks.add(&self.features, &images.narrow(0, start, CHUNK.min(images.dim(0)? - start))?)?;
        }
        let drawn = looks.finish()?;
        let distance = frechet_distance(&Moments::of(&drawn.features)?, &self.moments)?;
        let found: Vec<f64> = nearest(&drawn.blocks, &self.real.blocks)?.iter().map(|n| n.distance).collect();
        Ok(ImageVitals {
            count: drawn.count,
            range: drawn.range,
            spread: drawn.variance / self.real.variance.max(f64::MIN_POSITIVE),
            shares: shares(&drawn, self.clusters.as_ref())?,
            distance: distance / self.scatter(),
            copied: Memorisation::of(&found, &self.between)?.copied,
        })
    }

    /// The sum of the variances of the real features. It is the distance of a set that repeats one
    /// single image with the mean of these features.
    fn scatter(&self) -> f64 {
        self.moments.variance().max(f64::MIN_POSITIVE)
    }
}

/// The share of each class, or of each of the bins.
fn shares(images: &Traits, clusters: Option<&Clusters>) -> Result<Vec<f64>> {
    let counts = match (clusters, &images.classes) {
        (Some(clusters), _) => clusters.count(&images.features)?,
        (None, classes) => classes.clone().unwrap_or_default(),
    };
    let all = counts.iter().sum::<u64>().max(1) as f64;
    Ok(counts.into_iter().map(|count| count as f64 / all).collect())
}

/// Sums over images that arrive in chunks.
#[derive(Default)]
struct Looks {
    features: Vec<Tensor>,
    blocks: Vec<Tensor>,
    /// Number of images in each class. `None` if the features know no classes.
    classes: Option<Vec<u64>>,
    pixels: Pixels,
}

impl Looks {
    fn add(&mut self, features: &Features, images: &Tensor) -> Result<()> {
        let images = images.detach().to_device(&Device::Cpu)?;
        let Look { features, probabilities, .. } = features.look(&images)?;
        self.features.push(features);
        if let Some(probabilities) = probabilities {
            let classes = self.classes.get_or_insert_default();
            classes.resize(probabilities.dim(1)?, 0);
            for class in probabilities.argmax(1)?.to_vec1::<u32>()? {
                classes[class as usize] += 1;
            }
        }
        let block = BLOCK.min(images.dim(2)?).min(images.dim(3)?);
        self.blocks.push(images.avg_pool2d(block)?.flatten_from(1)?);
        self.pixels.add(&images.flatten_from(1)?)
    }

    fn finish(self) -> Result<Traits> {
        if self.features.is_empty() {
            return Err(MetricsError::input("images", "some", "none"));
        }
        let Pixels { count, low, high, .. } = self.pixels;
        Ok(Traits {
            count,
            range: [low.into(), high.into()],
            variance: self.pixels.variance(),
            classes: self.classes,
            features: Tensor::cat(&self.features, 0)?,
            blocks: Tensor::cat(&self.blocks, 0)?,
        })
    }
}

/// Extremes and moments of pixels.
struct Pixels {
    count: usize,
    low: f32,
    high: f32,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Default for Pixels {
    fn default() -> Self {
        Self { count: 0, low: f32::INFINITY, high: f32::NEG_INFINITY, sums: vec![], squares: vec![] }
    }
}

impl Pixels {
    /// Takes `images: [N, P]`.
    fn add(&mut self, images: &Tensor) -> Result<()> {
        let (count, width) = images.dims2()?;
        self.count += count;
        self.sums.resize(width, 0.);
        self.squares.resize(width, 0.);
        for row in images.flatten_all()?.to_vec1::<f32>()?.chunks_exact(width) {
            for ((sum, square), &value) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
                (self.low, self.high) = (self.low.min(value), self.high.max(value));
                *sum += f64::from(value);
                *square += f64::from(value) * f64::from(value);
            }
        }
        Ok(())
    }

    /// Sum of the variances of the pixels.
    fn variance(&self) -> f64 {
        let n = self.count as f64;
        self.sums.iter().zip(&self.squares).map(|(sum, square)| square / n - (sum / n).powi(2)).sum()
    }
}
