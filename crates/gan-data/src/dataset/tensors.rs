//! Images of a data set as tensors.

use super::{Dataset, check_channels, evenly_spaced};
use crate::{Range, Result, normalize};
use candle_core::{Device, Tensor};

impl Dataset {
    /// The images of these indices: f32 `[n, channels, size, size]` in `range`. A gray image fills
    /// all three channels with the same values.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, if it is 1 and the data are RGB, or if the tensor cannot
    /// be created on the device.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    pub fn tensor(&self, indices: &[u32], channels: usize, range: Range, device: &Device) -> Result<Tensor> {
        self.mirrored_tensor(indices, &[], channels, range, device)
    }

    /// [`tensor`](Self::tensor), in which the images with `true` in `mirrored` have left and right
    /// exchanged. Images beyond its end are not mirrored.
    pub(crate) fn mirrored_tensor(
        &self,
        indices: &[u32],
        mirrored: &[bool],
        channels: usize,
        range: Range,
        device: &Device,
    ) -> Result<Tensor> {
        check_channels("channels", channels)?;
        self.check_fits("channels", channels)?;
        let mut pixels = Vec::with_capacity(indices.len() * channels * self.size * self.size);
        for (n, &index) in indices.iter().enumerate() {
            let mut image = self.image(index as usize);
            if mirrored.get(n) == Some(&true) {
                image.to_mut().chunks_exact_mut(self.size).for_each(<[u8]>::reverse);
            }
            for _ in 0..channels / self.channels {
                pixels.extend_from_slice(&image);
            }
        }
        normalize::to_tensor(&pixels, (indices.len(), channels, self.size, self.size), range, device)
    }

    /// `count` evenly spaced images in the order of the data, or all if there are fewer. They come
    /// `chunk` at a time, in the form of [`tensor`](Self::tensor).
    pub fn tensors(
        &self,
        count: usize,
        chunk: usize,
        channels: usize,
        range: Range,
        device: &Device,
    ) -> impl Iterator<Item = Result<Tensor>> {
        let indices: Vec<u32> = evenly_spaced(self.len(), count).map(|index| index as u32).collect();
        let (count, chunk) = (indices.len(), chunk.max(1));
        (0..count).step_by(chunk).map(move |start| {
            self.tensor(&indices[start..(start + chunk).min(count)], channels, range, device)
        })
    }
}
