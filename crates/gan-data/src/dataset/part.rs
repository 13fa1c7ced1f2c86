//! Parts of a data set.

use super::{Dataset, Labelling, Storage};
use crate::config::HOLD_OUT;
use crate::{DataError, Result, rng};

impl Dataset {
    /// Keeps `count` evenly spaced images, at least one. It keeps all if there are no more.
    #[must_use]
    pub fn spread(self, count: usize) -> Self {
        if count >= self.len() { self } else { self.pick(evenly_spaced(self.len(), count.max(1))) }
    }

    /// Two halves of alternate images: those at even indices, and those at odd indices. A single
    /// image is in both.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let all = self.len();
        [0, 1.min(all - 1)].map(|first| self.pick((first..all).step_by(2)))
    }

    /// The images to train on, and the share of the images that is held out. The held-out images are
    /// evenly spaced, from the first on.
    ///
    /// # Errors
    ///
    /// If either part would be empty.
    pub(crate) fn hold_out(&self, share: f64) -> Result<[Self; 2]> {
        let (all, count) = (self.len(), (share * self.len() as f64).round() as usize);
        if count == 0 || count >= all {
            let expected = format!("a share of at least one of {all} images");
            return Err(DataError::Value { field: HOLD_OUT, expected, found: share.to_string() });
        }
        let mut is_held_out = vec![false; all];
        evenly_spaced(all, count).for_each(|index| is_held_out[index] = true);
        let part = |held_out| self.pick((0..all).filter(|&index| is_held_out[index] == held_out));
        let (trained, held_out) = (part(false), part(true));
        let trained = Self { held_out: Some(held_out.fingerprint()), ..trained };
        Ok([trained, held_out])
    }

    fn pick(&self, indices: impl Iterator<Item = usize> + Clone) -> Self {
        let labels = self.labels.as_ref().map(|Labelling { of_images, classes, names }| {
            let of_images = indices.clone().map(|index| of_images[index]).collect();
            Labelling { of_images, classes: *classes, names: names.clone() }
        });
        let images = match &self.images {
            Storage::Stored(pixels) => {
                let image = |index| &pixels[index * self.area()..][..self.area()];
                Storage::Stored(indices.flat_map(image).copied().collect())
            }
            Storage::Stacked(stacks) => Storage::Stacked(stacks.pick(indices)),
        };
        let (name, source, held_out) = (self.name.clone(), self.source.clone(), self.held_out.clone());
        Self { name, source, images, labels, held_out, ..*self }
    }
}

/// Makes the choice of [`scattered`] independent of all other random numbers.
const SCATTERED: u64 = u64::from_le_bytes(*b"scatter\0");

/// At most `count` numbers below `all`, in order: a random one of each of `count` equal parts. The choice is
/// always the same. Evenly spaced numbers would always meet the same class if the classes take turns.
#[must_use]
pub fn scattered(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    let mut rng = rng::stream(0, SCATTERED, 0);
    let part = |i: usize| (i * all / count, (i + 1) * all / count);
    (0..count)
        .map(part)
        .map(|(start, end)| start + rng::below((end - start) as u32, &mut rng) as usize)
        .collect()
}

/// At most `count` numbers below `all`, evenly spaced from 0. Each part of sorted data gets the
/// same share.
pub fn evenly_spaced(all: usize, count: usize) -> impl Iterator<Item = usize> + Clone {
    let count = count.min(all);
    (0..count).map(move |i| i * all / count)
}
