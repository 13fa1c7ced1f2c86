//! Whether a generator repeats its training images.

use crate::{MetricsError, Result};
use serde::{Deserialize, Serialize};

/// Of the held-out images, this share lies nearer to a training image than what counts as a copy.
const ALLOWED: f64 = 0.01;

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
    pub copied: f64,
}

impl Memorisation {
    /// From the distances of generated and of held-out images to their nearest training images, as
    /// [`crate::nearest`] finds them, in any order.
    ///
    /// # Errors
    /// No distances; some that are not finite.
    pub fn of(generated: &[f64], held_out: &[f64]) -> Result<Self> {
        let (generated, held_out) =
            (sorted("distances", generated)?, sorted("held-out distances", held_out)?);
        let threshold = quantile(&held_out, ALLOWED);
        let copied = generated.partition_point(|&distance| distance < threshold);
        Ok(Self {
            median: quantile(&generated, 0.5),
            held_out_median: quantile(&held_out, 0.5),
            copied: copied as f64 / generated.len() as f64,
        })
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

/// Interpolated between neighbours, as numpy's.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_images_are_copies_by_one_in_a_hundred() -> Result<()> {
        for count in [100, 1000, 10_000] {
            let held_out: Vec<_> = (0..count).rev().map(f64::from).collect();
            let found = Memorisation::of(&held_out, &held_out)?;
            assert!((found.copied - 0.01).abs() < 1e-12, "{count}: {found:?}");
            assert_eq!((found.median, found.held_out_median), (f64::from(count - 1) / 2., found.median));
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
    fn what_says_nothing() {
        for (generated, held_out) in
            [(&[][..], &[1.][..]), (&[1.], &[]), (&[f64::NAN], &[1.]), (&[1.], &[f64::INFINITY])]
        {
            assert!(Memorisation::of(generated, held_out).is_err());
        }
    }
}
