//! Modes without labels. The real images are divided into bins of similar images, and the bins'
//! shares of the generated images are compared with their shares of the real ones (Richardson and
//! Weiss 2018, arXiv 1805.12104, section 3).

use crate::Result;
use crate::rows::{Rows, row, squared_distance};
use crate::sample::evenly_spaced;
use candle_core::{Device, Tensor};
use gan_ops::rng::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Number of real images per bin. So few images give a bin's share with an error of a seventh.
const FOR_EACH: usize = 50;
const FEWEST: usize = 2;
const MOST: usize = 20;
/// Largest number of images from which the bins are made. More images change the bins little.
const FITTED: usize = 5_000;
/// Largest number of rounds of Lloyd's algorithm. It usually ends by itself after 20 to 60.
const ROUNDS: usize = 100;
/// Limit of a two-sided test at the level of 5%: the paper's.
const SIGNIFICANT: f64 = 1.959_964;

/// Bins of images with similar features: the cells of k-means. They are a pure function of the
/// features.
#[derive(Debug, Clone)]
pub struct Clusters {
    centres: Rows,
}

/// The shares of the bins among some images, compared with the real images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// For each bin, its share of the images.
    pub shares: Vec<f64>,
    /// For each bin, its share of the real images.
    pub reference: Vec<f64>,
    /// Number of bins whose two shares differ more than chance explains in 95% of all cases. Images
    /// of the same distribution differ in one of twenty bins, on average.
    pub different: usize,
    /// Number of bins.
    pub of: usize,
}

impl Clusters {
    /// Divides images with `features: [N, D]` into bins: one for every 50 images, but at least 2
    /// and at most 20. There are fewer if there are fewer different images.
    ///
    /// # Errors
    /// If type or rank are different, there are no rows, or a number is not finite.
    pub fn new(features: &Tensor) -> Result<Self> {
        Self::of_rows(&Rows::new("features", features, 1)?)
    }

    pub(crate) fn of_rows(all: &Rows) -> Result<Self> {
        let wanted = (all.count() / FOR_EACH).clamp(FEWEST, MOST);
        let some = all.select(&evenly_spaced(all.count(), FITTED))?;
        let (values, width) = (some.values(), some.width());
        let mut centres = first_centres(&values, width, wanted)?;
        let mut nearest = vec![];
        for _ in 0..ROUNDS {
            let found = cells(&values, &centres, width);
            if found == nearest {
                break;
            }
            nearest = found;
            centres = means(&values, &centres, width, &nearest);
        }
        let shape = (centres.len() / width, width);
        Ok(Self { centres: Rows::new("centres", &Tensor::from_vec(centres, shape, &Device::Cpu)?, 1)? })
    }

    /// Number of images with `features: [N, D]` in each bin. An image is in the bin with the nearest
    /// centre.
    ///
    /// # Errors
    /// The errors of [`Self::new`], and another D.
    pub fn count(&self, features: &Tensor) -> Result<Vec<u64>> {
        self.count_rows(&Rows::new("features", features, 1)?)
    }

    pub(crate) fn count_rows(&self, rows: &Rows) -> Result<Vec<u64>> {
        rows.check_width("features", self.centres.width())?;
        let mut counts = vec![0; self.centres.count()];
        for cell in cells(&rows.values(), &self.centres.values(), rows.width()) {
            counts[cell] += 1;
        }
        Ok(counts)
    }
}

impl Bins {
    /// Compares the numbers of images in each bin. The test is that of two proportions, with the
    /// variance of their common proportion.
    #[must_use]
    pub fn compare(counts: &[u64], reference: &[u64]) -> Self {
        let total = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
        let (all, real) = (total(counts), total(reference));
        let shares =
            |counts: &[u64], total: f64| counts.iter().map(|&n| n as f64 / total).collect::<Vec<_>>();
        let differs = |(&ours, &theirs): (&u64, &u64)| {
            let common = (ours + theirs) as f64 / (all + real);
            let deviation = (common * (1. - common) * (1. / all + 1. / real)).sqrt();
            (ours as f64 / all - theirs as f64 / real).abs() > SIGNIFICANT * deviation
        };
        let different = counts.iter().zip(reference).filter(|&pair| differs(pair)).count();
        let (shares, reference) = (shares(counts, all), shares(reference, real));
        Self { of: reference.len(), shares, reference, different }
    }
}

/// Chooses images as first centres. The more distant an image is from the centres before it, the
/// more probable it is: by the square of the distance (k-means++, Arthur and Vassilvitskii 2007).
fn first_centres(values: &[f32], width: usize, wanted: usize) -> Result<Vec<f32>> {
    let count = values.len() / width;
    let mut stream = Stream::new(0, "bins", 0);
    let mut draw = || {
        Ok::<_, crate::MetricsError>(f64::from(stream.uniform(0., 1., 1, &Device::Cpu)?.to_vec1::<f32>()?[0]))
    };
    let mut centres = row(values, width, (draw()? * count as f64) as usize).to_vec();
    let mut squares = vec![f64::INFINITY; count];
    while centres.len() < wanted * width {
        let last = &centres[centres.len() - width..];
        squares.par_iter_mut().zip(values.par_chunks_exact(width)).for_each(|(square, image)| {
            *square = square.min(squared_distance(image, last));
        });
        let total: f64 = squares.iter().sum();
        if total <= 0. {
            break;
        }
        let mut rest = draw()? * total;
        let chosen = squares.iter().position(|square| {
            rest -= square;
            rest < 0.
        });
        // Rounding can leave a rest after the last image.
        let chosen = chosen.or_else(|| squares.iter().rposition(|&square| square > 0.));
        centres.extend_from_slice(row(values, width, chosen.unwrap_or_default()));
    }
    Ok(centres)
}

/// The index of each image's nearest centre. If several are equally near, it is the first.
fn cells(values: &[f32], centres: &[f32], width: usize) -> Vec<usize> {
    let nearest = |image: &[f32]| {
        let distances = centres.chunks_exact(width).map(|centre| squared_distance(image, centre));
        let first = |best: (usize, f64), (i, d): (usize, f64)| if d < best.1 { (i, d) } else { best };
        distances.enumerate().fold((0, f64::INFINITY), first).0
    };
    values.par_chunks_exact(width).map(nearest).collect()
}

/// The mean of the images in each cell. A cell without images keeps its centre.
fn means(values: &[f32], centres: &[f32], width: usize, cells: &[usize]) -> Vec<f32> {
    let mut sums = vec![0f64; centres.len()];
    let mut counts = vec![0u64; centres.len() / width];
    for (image, &cell) in values.chunks_exact(width).zip(cells) {
        counts[cell] += 1;
        let sums = &mut sums[cell * width..][..width];
        sums.iter_mut().zip(image).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let mean = |(i, sum): (usize, f64)| match counts[i / width] {
        0 => centres[i],
        count => (sum / count as f64) as f32,
    };
    sums.into_iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` points around each of the places, and a seventh of them at the last.
    fn points(places: &[[f32; 2]], count: usize) -> Tensor {
        let noise = Stream::new(1, "points", 0).normal((places.len() * count, 2), &Device::Cpu).unwrap();
        let centres: Vec<f32> = places.iter().flat_map(|place| place.repeat(count)).collect();
        (Tensor::from_vec(centres, (places.len() * count, 2), &Device::Cpu).unwrap() + (noise * 0.1).unwrap())
            .unwrap()
    }

    #[test]
    fn bins_are_the_groups_of_the_data() -> Result<()> {
        let places = [[0., 0.], [0., 5.], [5., 0.], [5., 5.]];
        let real = points(&places, 50);
        let clusters = Clusters::new(&real)?;
        assert_eq!(clusters.count(&real)?, [50; 4]);
        assert_eq!(clusters.centres.values()[..], Clusters::new(&real)?.centres.values()[..]);
        // A generator that never draws the last group.
        let few = points(&places[..3], 50);
        let bins = Bins::compare(&clusters.count(&few)?, &clusters.count(&real)?);
        assert_eq!(bins.shares.iter().filter(|&&share| share == 0.).count(), 1);
        assert_eq!((bins.reference.clone(), bins.of), (vec![0.25; 4], 4));
        assert!(clusters.count(&real.narrow(1, 0, 1)?).is_err());
        Ok(())
    }

    #[test]
    fn there_are_no_more_bins_than_images_allow() -> Result<()> {
        let bins = |count: usize| {
            let noise = Stream::new(2, "points", 0).normal((count, 3), &Device::Cpu)?;
            Ok::<_, crate::MetricsError>(Clusters::new(&noise)?.count(&noise)?.len())
        };
        assert_eq!([bins(3)?, bins(500)?, bins(5000)?], [2, 10, 20]);
        let equal = Tensor::ones((500, 3), candle_core::DType::F32, &Device::Cpu)?;
        assert_eq!(Clusters::new(&equal)?.count(&equal)?, [500]);
        Ok(())
    }

    #[test]
    fn a_share_differs_when_the_test_of_two_proportions_says_so() {
        // For 100 and 100 images, 50 and 36: the common share is 0.43, its deviation is 0.0700143,
        // and the difference of 0.14 is 1.99959 deviations. With 37 it is 1.85421.
        let different = |count| Bins::compare(&[count, 100 - count], &[50, 50]).different;
        assert_eq!([different(50), different(37), different(36), different(0)], [0, 0, 2, 2]);
        let none = Bins::compare(&[0, 7], &[0, 9]);
        assert_eq!((none.different, none.shares, none.reference), (0, vec![0., 1.], vec![0., 1.]));
    }
}
