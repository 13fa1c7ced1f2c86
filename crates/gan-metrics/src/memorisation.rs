//! Whether a generator repeats its training images.

use crate::neighbours::{distances, distances_to_others};
use crate::rows::Rows;
use crate::sample::evenly_spaced;
use crate::{MetricsError, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Share of the held-out images that are nearer to a training image than the limit for a copy.
const ALLOWED: f64 = 0.01;
/// Largest number of unseen images whose distances give the limit. If there are more, an evenly
/// spaced part of them is used.
const UNSEEN: usize = 10_000;
/// Below this number of distances there is no meaningful 1st percentile.
const FEW: usize = 100;

/// Distances of generated images to their nearest training images, compared with the distances of
/// held-out images.
///
/// A small distance alone has no meaning. A held-out image is from the same distribution and was
/// never seen, so its distance shows what is small (Meehan, Chaudhuri and Dasgupta 2020, arXiv
/// 2004.05675). The paper tests both whole sets of distances. The two medians and the share below
/// one quantile are easier to read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Memorisation {
    /// Median of the generated images' distances.
    pub median: f64,
    /// Median of the held-out images' distances.
    pub held_out_median: f64,
    /// Share of the generated images that are nearer to a training image than 99% of the held-out
    /// images are. The limit is the 1st percentile of the held-out distances, interpolated between
    /// two of them. The held-out images themselves have 0.01. An image at distance 0 is always a
    /// copy.
    pub copied: f64,
}

impl Memorisation {
    /// Compares the distances of generated and of held-out images to their nearest training
    /// images. [`crate::nearest`] finds these distances. Their order does not matter. A held-out
    /// image at distance 0 is itself a training image. It is left out, because otherwise data with
    /// duplicates would hide every copy.
    ///
    /// # Errors
    /// No distances; distances that are not finite.
    pub fn of(generated: &[f64], held_out: &[f64]) -> Result<Self> {
        let (generated, held_out) =
            (sorted("distances", generated)?, sorted("held-out distances", held_out)?);
        let held_out = &held_out[held_out.partition_point(|&distance| distance <= 0.)..];
        let threshold = quantile(held_out, ALLOWED);
        let copied = generated.partition_point(|&distance| distance <= 0. || distance < threshold);
        Ok(Self {
            median: quantile(&generated, 0.5),
            held_out_median: quantile(held_out, 0.5),
            copied: copied as f64 / generated.len() as f64,
        })
    }
}

/// Training images, and the distances of unseen images to them. An unseen image is one that the
/// generator was not trained on.
#[derive(Debug, Clone)]
pub struct TrainingImages {
    images: Rows,
    /// Distances of unseen images to the nearest training image.
    unseen: Vec<f64>,
}

impl TrainingImages {
    /// `images: [N, ...]` are all images that the generator was trained on. `held_out: [M, ...]`
    /// are from the same distribution, have the same size, and are also f32. Held-out images that
    /// are training images too are left out. If few remain, the distances between the training
    /// images give the limit.
    ///
    /// # Errors
    /// Another type, no images, images of different sizes, pixels that are not finite.
    pub fn new(images: &Tensor, held_out: &Tensor) -> Result<Self> {
        let images = Rows::new("training images", &images.flatten_from(1)?, 1)?;
        let held_out = Rows::new("held-out images", &held_out.flatten_from(1)?, 1)?;
        held_out.check_width("held-out images", images.width())?;
        let some = |rows: &Rows| rows.select(&evenly_spaced(rows.count(), UNSEEN));
        let mut unseen = distances(&some(&held_out)?, &images)?;
        unseen.retain(|&distance| distance > 0.);
        if unseen.len() < FEW && unseen.len() < images.count() {
            unseen = distances_to_others(&some(&images)?, &images)?;
        }
        Ok(Self { images, unseen })
    }

    /// Whether generated `images: [N, ...]` repeat the training images.
    ///
    /// # Errors
    /// The errors of [`Self::new`].
    pub fn copies_among(&self, images: &Tensor) -> Result<Memorisation> {
        self.copies(&Rows::new("images", &images.flatten_from(1)?, 1)?)
    }

    pub(crate) fn copies(&self, images: &Rows) -> Result<Memorisation> {
        images.check_width("images", self.images.width())?;
        Memorisation::of(&distances(images, &self.images)?, &self.unseen)
    }

    /// Returns the same comparison for at most `count` unseen images.
    pub(crate) fn floor(&self, count: usize) -> Result<Memorisation> {
        let chosen = evenly_spaced(self.unseen.len(), count);
        let chosen: Vec<_> = chosen.into_iter().map(|index| self.unseen[index as usize]).collect();
        Memorisation::of(&chosen, &self.unseen)
    }
}

fn sorted(what: &'static str, distances: &[f64]) -> Result<Vec<f64>> {
    if let Some(distance) = distances.iter().find(|distance| !distance.is_finite()) {
        return Err(MetricsError::input(what, "finite numbers", distance));
    }
    if distances.is_empty() {
        return Err(MetricsError::input(what, "at least 1", 0));
    }
    let mut distances = distances.to_vec();
    distances.sort_unstable_by(f64::total_cmp);
    Ok(distances)
}

/// Computes a quantile, interpolated between neighbours as in numpy. It is 0 if there are no
/// values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return 0.;
    }
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn held_out_images_are_copies_by_one_in_a_hundred() -> Result<()> {
        for count in [100, 1000, 10_000] {
            let held_out: Vec<_> = (1..=count).rev().map(f64::from).collect();
            let found = Memorisation::of(&held_out, &held_out)?;
            assert!((found.copied - 0.01).abs() < 1e-12, "{count}: {found:?}");
            assert_eq!((found.median, found.held_out_median), (f64::from(count + 1) / 2., found.median));
        }
        Ok(())
    }

    #[test]
    fn copies_are_nearer_than_held_out_images() -> Result<()> {
        let held_out: Vec<_> = (0..101).map(|i| 5. + f64::from(i)).collect();
        // The 1st percentile is 6, and 6 is not below itself.
        let found = Memorisation::of(&[0., 5.5, 6., 70.], &held_out)?;
        assert_eq!(found, Memorisation { median: 5.75, held_out_median: 55., copied: 0.5 });
        let found = Memorisation::of(&[3.], &[3.])?;
        assert_eq!(found, Memorisation { median: 3., held_out_median: 3., copied: 0. });
        Ok(())
    }

    #[test]
    fn duplicates_in_the_data_hide_no_copies() -> Result<()> {
        let held_out = [vec![0.; 30], vec![5., 6., 7.]].concat();
        let found = Memorisation::of(&[0., 0., 4., 8.], &held_out)?;
        assert_eq!(found, Memorisation { median: 2., held_out_median: 6., copied: 0.75 });
        let found = Memorisation::of(&[0., 1.], &[0.; 9])?;
        assert_eq!((found.held_out_median, found.copied), (0., 0.5));
        Ok(())
    }

    #[test]
    fn copies_are_sought_among_what_was_trained_on() -> Result<()> {
        let line = |points: &[f32]| Tensor::new(points, &Device::Cpu)?.reshape((points.len(), 1, 1));
        let training = TrainingImages::new(&line(&[0., 10.])?, &line(&[3., 10., 14.])?)?;
        // 3 and 14 are unseen, at distances 3 and 4 from the nearest training image. 10 is a
        // training image.
        let found = training.copies_among(&line(&[10., 12., 15.])?)?;
        assert_eq!((found.median, found.held_out_median), (2., 3.5));
        assert!((found.copied - 2. / 3.).abs() < 1e-12);
        let floor = training.floor(9)?;
        assert_eq!((floor.median, floor.held_out_median), (3.5, 3.5));
        // One unseen image is not enough, so the distances between the training images are used.
        let training = TrainingImages::new(&line(&[0., 9., 20., 20.])?, &line(&[0., 1.])?)?;
        let found = training.copies_among(&line(&[3.])?)?;
        assert_eq!((found.median, found.held_out_median), (3., 9.));
        // No image is unseen. Each distance is the distance to the nearest other training image,
        // and two of these are equal.
        let training = TrainingImages::new(&line(&[0., 9., 20., 20.])?, &line(&[0., 20.])?)?;
        let found = training.copies_among(&line(&[20., 1.])?)?;
        assert_eq!((found.held_out_median, found.copied), (9., 1.));
        assert!(training.copies_among(&Tensor::new(&[[1f32, 2.]], &Device::Cpu)?).is_err());
        Ok(())
    }

    #[test]
    fn what_says_nothing() {
        for (generated, held_out) in
            [(&[][..], &[1.][..]), (&[1.], &[]), (&[f64::NAN], &[1.]), (&[1.], &[f64::INFINITY])]
        {
            assert!(Memorisation::of(generated, held_out).is_err());
        }
    }
}
