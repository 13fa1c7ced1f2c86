//! The training pictures that are nearest to an image.

use crate::config::Config;
use crate::loading;
use crate::origin;
use crate::run_dir;
use anyhow::{Result, bail};
use gan_data::{Dataset, Split, evenly_spaced};
use rayon::prelude::*;
use std::path::Path;

/// Number of nearest pictures.
pub(super) const NEAREST: usize = 8;
/// Number of training pictures whose own nearest one tells what is usual.
const USUAL: usize = 100;

/// The pictures that a run was trained on.
pub(super) struct Training {
    data: Dataset,
    is_flipped: bool,
    /// The median distance of a training picture to the nearest other one.
    pub(super) usual: f64,
}

/// A training picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) index: usize,
    /// Root of the mean square of the difference of pixels from 0 to 255.
    pub(super) distance: f64,
    pub(super) is_mirrored: bool,
}

impl Training {
    /// Loads the data of a run.
    ///
    /// # Errors
    /// Data that cannot be read, or that changed since the run was trained.
    pub(super) fn load(run: &Path, config: &Config) -> Result<Self> {
        let model = &config.model;
        let data = loading::load(&config.data, Split::Train, model.image_size, model.channels)?;
        let newest =
            run_dir::newest_checkpoint(run).filter(|newest| run_dir::is_own(run, &newest.join("state.json")));
        if let Some(then) = newest.and_then(|newest| origin::other_data(&newest, &data)) {
            bail!("the run was trained on {then}, and there are other data now: {}", data.source());
        }
        let mut training = Self { data, is_flipped: config.data.flip, usual: 0. };
        let chosen = evenly_spaced(training.data.len(), USUAL.min(training.data.len()));
        // The nearest of a picture is the picture itself, or an equal one.
        let mut usual: Vec<f64> = chosen
            .filter_map(|index| Some(training.nearest(&training.data.image(index), 2).get(1)?.distance))
            .collect();
        usual.sort_by(f64::total_cmp);
        training.usual = usual.get(usual.len() / 2).copied().unwrap_or(0.);
        Ok(training)
    }

    /// The bytes `[C, H, W]` of a training picture.
    pub(super) fn picture(&self, found: Found) -> Vec<u8> {
        let image = self.data.image(found.index);
        if found.is_mirrored { mirrored(&image, self.data.size()) } else { image.into_owned() }
    }

    /// The `count` training pictures that are nearest to an image `[C, H, W]` of bytes. Equal distances are
    /// in the order of the data.
    pub(super) fn nearest(&self, image: &[u8], count: usize) -> Vec<Found> {
        let mirror = self.is_flipped.then(|| mirrored(image, self.data.size()));
        let distance = |index: usize| {
            let other = self.data.image(index);
            let straight = squared(image, &other);
            let turned = mirror.as_ref().map_or(u64::MAX, |image| squared(image, &other));
            (straight.min(turned), index, turned < straight)
        };
        let mut all: Vec<_> = (0..self.data.len()).into_par_iter().map(distance).collect();
        let count = count.min(all.len());
        if count < all.len() {
            all.select_nth_unstable(count);
            all.truncate(count);
        }
        all.sort_unstable();
        let found = |(squared, index, is_mirrored)| {
            let distance = (squared as f64 / image.len().max(1) as f64).sqrt();
            Found { index, distance, is_mirrored }
        };
        all.into_iter().map(found).collect()
    }
}

/// The sum of the squares of the differences.
fn squared(a: &[u8], b: &[u8]) -> u64 {
    // A piece's sum fits 32 bits, which are faster.
    let piece = |(a, b): (&[u8], &[u8])| {
        let squares = a.iter().zip(b).map(|(&a, &b)| {
            let difference = u32::from(a.abs_diff(b));
            difference * difference
        });
        u64::from(squares.sum::<u32>())
    };
    a.chunks(1 << 12).zip(b.chunks(1 << 12)).map(piece).sum()
}

/// The image with left and right exchanged.
fn mirrored(image: &[u8], width: usize) -> Vec<u8> {
    image.chunks(width.max(1)).flat_map(|row| row.iter().rev().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_mirrored_copies_are_the_nearest() {
        let pixels: Vec<u8> =
            (0..50u32 * 3 * 16).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let data = Dataset::new("test", "test", pixels.clone(), 3, 4).unwrap();
        let mut training = Training { data, is_flipped: false, usual: 0. };
        let picture = &pixels[7 * 48..8 * 48];
        let found = training.nearest(picture, 8);
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], Found { index: 7, distance: 0., is_mirrored: false });
        assert!(found.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
        assert_eq!(training.picture(found[0]), picture);
        let by_hand = |other: usize| {
            let squares =
                picture.iter().zip(&pixels[other * 48..]).map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2));
            (squares.sum::<f64>() / 48.).sqrt()
        };
        let best = (0..50).filter(|other| *other != 7).map(by_hand).fold(f64::INFINITY, f64::min);
        assert!((found[1].distance - best).abs() < 1e-9);
        let turned = mirrored(picture, 4);
        assert!(training.nearest(&turned, 1)[0].distance > 0.);
        training.is_flipped = true;
        let found = training.nearest(&turned, 1)[0];
        assert_eq!(found, Found { index: 7, distance: 0., is_mirrored: true });
        assert_eq!(training.picture(found), turned);
        assert_eq!(training.nearest(picture, 1000).len(), 50);
    }
}
