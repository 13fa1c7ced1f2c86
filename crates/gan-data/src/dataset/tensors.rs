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
        check_channels("channels", channels)?;
        self.check_fits("channels", channels)?;
        let mut pixels = Vec::with_capacity(indices.len() * channels * self.size * self.size);
        for &index in indices {
            let image = self.image(index as usize);
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
