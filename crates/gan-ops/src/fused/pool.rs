//! Pooling with any window, and maps side by side.

use super::Maps;
use crate::geometry::Image;
use crate::kernels;
use crate::reference::Window;
use candle_core::Result;

/// Values that stay in the nearest cache while the pixels of a square are joined.
const RUN: usize = 1024;

impl Maps {
    /// The largest value of each square. Positions outside the image do not count. The result has
    /// [`Window::places`] rows and columns.
    ///
    /// # Errors
    /// The errors of [`Window::places`].
    pub fn max_pool(&self, window: Window) -> Result<Self> {
        // NaN stays, whichever of the two it is.
        let larger = |most: f32, value: f32| if value > most || value.is_nan() { value } else { most };
        self.pool(window, larger, |_| None)
    }

    /// The mean of each square. Positions outside the image do not count. The result has
    /// [`Window::places`] rows and columns.
    ///
    /// # Errors
    /// The errors of [`Window::places`].
    pub fn mean_pool(&self, window: Window) -> Result<Self> {
        self.pool(window, |sum, value| sum + value, |count| Some(1. / count as f32))
    }

    /// Joins the values of each square by `join`. Multiplies the result by the `factor` for their
    /// number, if there is one.
    fn pool(
        &self,
        window: Window,
        join: impl Fn(f32, f32) -> f32 + Sync,
        factor: impl Fn(usize) -> Option<f32> + Sync,
    ) -> Result<Self> {
        let Image { channels, height, width } = self.image;
        let image = Image { channels, height: window.places(height)?, width: window.places(width)? };
        let at_once = channels * kernels::padded(self.batch);
        let mut values = kernels::Buffer::new(image.len(self.batch));
        let within = |at: usize, length: usize| {
            let start = at * window.stride;
            let end = (start + window.size).saturating_sub(window.padding).min(length);
            start.saturating_sub(window.padding)..end
        };
        kernels::each_pixel(&mut values, at_once, |pixel, out| {
            let (rows, columns) = (within(pixel / image.width, height), within(pixel % image.width, width));
            let factor = factor(rows.len() * columns.len());
            let from: Vec<&[f32]> = rows
                .flat_map(|y| columns.clone().map(move |x| y * width + x))
                .map(|pixel| &self.values[pixel * at_once..][..at_once])
                .collect();
            for (i, out) in out.chunks_mut(RUN).enumerate() {
                let run = i * RUN..i * RUN + out.len();
                let Some((first, rest)) = from.split_first() else { return };
                out.copy_from_slice(&first[run.clone()]);
                for values in rest {
                    let values = &values[run.clone()];
                    out.iter_mut().zip(values).for_each(|(out, value)| *out = join(*out, *value));
                }
                if let Some(factor) = factor {
                    for out in out {
                        *out *= factor;
                    }
                }
            }
        });
        Ok(Self::new(image, self.batch, values))
    }

    /// The channels of all `parts`, in their order, as PyTorch's `cat` joins them along axis 1.
    ///
    /// # Errors
    /// No parts; parts that differ in height, width or number of samples.
    pub fn beside(parts: &[Self]) -> Result<Self> {
        let Some(first) = parts.first() else { candle_core::bail!("expected maps, found none") };
        let size = |maps: &Self| (maps.batch, maps.image.height, maps.image.width);
        if let Some(other) = parts.iter().find(|maps| size(maps) != size(first)) {
            candle_core::bail!("expected maps of one size, found {:?} and {:?}", first.dims(), other.dims())
        }
        let channels = parts.iter().map(|maps| maps.image.channels).sum();
        let image = Image { channels, ..first.image };
        let lanes = kernels::padded(first.batch);
        let mut values = kernels::Buffer::new(image.len(first.batch));
        kernels::each_pixel(&mut values, channels * lanes, |pixel, mut out| {
            for maps in parts {
                let at_once = maps.image.channels * lanes;
                let (own, rest) = out.split_at_mut(at_once);
                own.copy_from_slice(&maps.values[pixel * at_once..][..at_once]);
                out = rest;
            }
        });
        Ok(Self::new(image, first.batch, values))
    }
}
