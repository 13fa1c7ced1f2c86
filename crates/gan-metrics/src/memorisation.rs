//! Whether a generator repeats its training images.

use crate::neighbours::{distances, distances_to_others};
use crate::rows::Rows;
use crate::sample::evenly_spaced;
use crate::{MetricsError, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Of the held-out images, this share lies nearer to a training image than what counts as a copy.
const ALLOWED: f64 = 0.01;
/// Images whose distances say what is near; of more, some at even distances.
const UNSEEN: usize = 10_000;
/// Of fewer there is no 1st percentile.
const FEW: usize = 100;

/// Distances of generated images to their nearest training images, beside those of images that were held out.
///
/// A small distance alone says little: that of a held-out image, from the same distribution and never seen, says what is
/// small (Meehan, Chaudhuri and Dasgupta 2020, arXiv 2004.05675, who test the whole of both sets of distances; the two
/// medians and the share below one quantile are easier to read).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Memorisation {
    /// Median of the generated images' distances.
    pub median: f64,
    /// Median of the held-out images' distances.
    pub held_out_median: f64,
    /// Share of the generated images that are nearer to a training image than 99% of the held-out ones are: below the
    /// 1st percentile of their distances, between two of them by interpolation. 0.01 for the held-out images themselves.
    /// An image at distance 0 is a copy in any case.
    pub copied: f64,
}

impl Memorisation {
    /// From the distances of generated and of held-out images to their nearest training images, as
    /// [`crate::nearest`] finds them, in any order. Held-out images at distance 0 are training images themselves and are
    /// left out: data with duplicates would hide every copy.
    ///
    /// # Errors
    /// No distances; some that are not finite.
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

/// Training images, and how near to them images come that were not trained on.
#[derive(Debug, Clone)]
pub struct TrainingImages {
    images: Rows,
    /// Of such images to the nearest training image.
    unseen: Vec<f64>,
}

impl TrainingImages {
    /// `images` are all that were trained on, `[N, ...]`; `held_out: [M, ...]` are from the same distribution, as large, and
    /// also f32. Those of them that were trained on too are passed over; if few are left, the distances between the
    /// training images say what is near.
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

    /// Whether generated `images: [N, ...]` repeat them.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn copies_among(&self, images: &Tensor) -> Result<Memorisation> {
        self.copies(&Rows::new("images", &images.flatten_from(1)?, 1)?)
    }

    pub(crate) fn copies(&self, images: &Rows) -> Result<Memorisation> {
        images.check_width("images", self.images.width())?;
        Memorisation::of(&distances(images, &self.images)?, &self.unseen)
    }

    /// The same of at most `count` images that were not trained on.
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

/// Interpolated between neighbours, as numpy's; 0 of nothing.
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
        // The 1st percentile is 6, which is not below itself.
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
        // 3 and 14 are unseen and have 3 and 4 to the next; 10 was trained on.
        let found = training.copies_among(&line(&[10., 12., 15.])?)?;
        assert_eq!((found.median, found.held_out_median), (2., 3.5));
        assert!((found.copied - 2. / 3.).abs() < 1e-12);
        let floor = training.floor(9)?;
        assert_eq!((floor.median, floor.held_out_median), (3.5, 3.5));
        // One that is unseen says little of what is near; more training images say more.
        let training = TrainingImages::new(&line(&[0., 9., 20., 20.])?, &line(&[0., 1.])?)?;
        let found = training.copies_among(&line(&[3.])?)?;
        assert_eq!((found.median, found.held_out_median), (3., 9.));
        // None is unseen: each is as far as the next of the others, of which two are the same.
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
