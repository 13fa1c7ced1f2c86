//! Stacked MNIST: three digits are the channels of an image, which is composed when it is
//! requested.

use std::sync::Arc;

use crate::{DataError, Result, resize, rng};

/// Makes the choice of digits independent of all other streams from the same seed.
const PURPOSE: [u8; 8] = *b"stacked\0";

/// Gray images, and the three images of each stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stacks {
    /// Shape `[base, size, size]`. Parts of the data share them, because parts differ only in the
    /// stacks.
    planes: Arc<Vec<u8>>,
    base: u32,
    seed: u64,
    chosen: Chosen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    /// All stacks with a number below this.
    Below(usize),
    These(Vec<usize>),
}

impl Stacks {
    /// The first `count` stacks of `planes: [base, size, size]`. `base` is at least 1.
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

    /// The image `[3, size, size]` of a stack. It panics like a slice if there is no such stack.
    pub(crate) fn image(&self, index: usize) -> Vec<u8> {
        let area = self.planes.len() / self.base as usize;
        self.digits(self.stack(index)).map(|digit| &self.planes[digit as usize * area..][..area]).concat()
    }

    /// Keeps the stacks with these indices.
    pub(crate) fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
        let chosen = Chosen::These(indices.map(|index| self.stack(index)).collect());
        Self { chosen, planes: Arc::clone(&self.planes), ..*self }
    }

    /// The same stacks of the same images at another size.
    ///
    /// # Errors
    ///
    /// The same as for [`resize::planes`].
    pub(crate) fn resize(self, from: usize, to: usize) -> Result<Self> {
        let planes = Arc::new(resize::planes(Arc::unwrap_or_clone(self.planes), from, to)?);
        Ok(Self { planes, ..self })
    }

    /// A hash of all that determines the images. It composes none of them.
    pub(crate) fn fingerprint(&self, shape: &[u8]) -> String {
        let chosen: Vec<u8> = match &self.chosen {
            Chosen::Below(_) => vec![],
            Chosen::These(stacks) => stacks.iter().flat_map(|&stack| (stack as u64).to_le_bytes()).collect(),
        };
        // The hash of stored images begins with their number, which is always smaller than the
        // purpose. So the two kinds cannot have equal fingerprints.
        gan_files::sha256(&[
            &PURPOSE,
            shape,
            &self.seed.to_le_bytes(),
            &self.base.to_le_bytes(),
            &self.planes,
            &chosen,
        ])
    }

    /// The number of a stack in the endless sequence of stacks.
    fn stack(&self, index: usize) -> usize {
        match &self.chosen {
            Chosen::Below(count) => {
                assert!(index < *count, "index {index} of {count} stacks");
                index
            }
            Chosen::These(stacks) => stacks[index],
        }
    }

    /// The indices of a stack's three images: red, green, blue.
    fn digits(&self, stack: usize) -> [u32; 3] {
        let mut rng = rng::stream(self.seed, u64::from_le_bytes(PURPOSE), stack as u64);
        [(); 3].map(|()| rng::below(self.base, &mut rng))
    }
}

#[cfg(test)]
mod tests;
