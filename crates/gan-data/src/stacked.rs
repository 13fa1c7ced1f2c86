//! Stacked MNIST: three digits as the channels of an image, composed when it is asked for.

use std::sync::Arc;

use crate::{DataError, Result, resize, rng};

/// Keeps the choice of digits apart from every other stream drawn from the same seed.
const PURPOSE: [u8; 8] = *b"stacked\0";

/// Gray images, and which three of them each stack is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stacks {
    /// `[base, size, size]`. Shared by parts of the data: they differ in the stacks, not in what these are made of.
    planes: Arc<Vec<u8>>,
    base: u32,
    seed: u64,
    chosen: Chosen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    /// The stacks below a number.
    Below(usize),
    These(Vec<usize>),
}

impl Stacks {
    /// The first `count` stacks of `planes: [base, size, size]`; `base` is at least 1.
    ///
    /// # Errors
    ///
    /// If `count` is 0, or `base` is 2^32 or more.
    pub(crate) fn new(planes: Vec<u8>, size: usize, seed: u64, count: usize) -> Result<Self> {
        let wrong = |field, expected: &str, found: usize| {
            Err(DataError::Value { field, expected: expected.to_owned(), found: found.to_string() })
        };
        let base = planes.len() / (size * size);
        let Ok(base) = u32::try_from(base) else {
            return wrong("dataset", "fewer than 2^32 images to stack", base);
        };
        if count == 0 {
            return wrong("stacks", "at least 1", count);
        }
        Ok(Self { planes: Arc::new(planes), base, seed, chosen: Chosen::Below(count) })
    }

    pub(crate) fn len(&self) -> usize {
        match &self.chosen {
            Chosen::Below(count) => *count,
            Chosen::These(stacks) => stacks.len(),
        }
    }

    /// `[3, size, size]`. Panics as a slice does if there is no such stack.
    pub(crate) fn image(&self, index: usize) -> Vec<u8> {
        let area = self.planes.len() / self.base as usize;
        self.digits(self.stack(index)).map(|digit| &self.planes[digit as usize * area..][..area]).concat()
    }

    /// Some of them, by index.
    pub(crate) fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
        let chosen = Chosen::These(indices.map(|index| self.stack(index)).collect());
        Self { chosen, planes: Arc::clone(&self.planes), ..*self }
    }

    /// The same stacks of the same images at another size.
    ///
    /// # Errors
    ///
    /// As of [`resize::planes`].
    pub(crate) fn resize(self, from: usize, to: usize) -> Result<Self> {
        let planes = Arc::new(resize::planes(Arc::unwrap_or_clone(self.planes), from, to)?);
        Ok(Self { planes, ..self })
    }

    /// Over all that decides the images, none of which is composed for it.
    pub(crate) fn fingerprint(&self, shape: &[u8]) -> String {
        let chosen: Vec<u8> = match &self.chosen {
            Chosen::Below(_) => vec![],
            Chosen::These(stacks) => stacks.iter().flat_map(|&stack| (stack as u64).to_le_bytes()).collect(),
        };
        // Stored images begin with their number, which is never as large as the purpose is.
        gan_files::sha256(&[
            &PURPOSE,
            shape,
            &self.seed.to_le_bytes(),
            &self.base.to_le_bytes(),
            &self.planes,
            &chosen,
        ])
    }

    /// Number of a stack in the endless sequence of them.
    fn stack(&self, index: usize) -> usize {
        match &self.chosen {
            Chosen::Below(count) => {
                assert!(index < *count, "index {index} of {count} stacks");
                index
            }
            Chosen::These(stacks) => stacks[index],
        }
    }

    /// The images that a stack is made of: red, green, blue.
    fn digits(&self, stack: usize) -> [u32; 3] {
        let mut rng = rng::stream(self.seed, u64::from_le_bytes(PURPOSE), stack as u64);
        [(); 3].map(|()| rng::below(self.base, &mut rng))
    }
}

#[cfg(test)]
mod tests;
