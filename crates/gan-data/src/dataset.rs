//! Images in memory: bytes in NCHW order, perhaps labels, and where they came from.

use std::borrow::Cow;

use crate::stacked::Stacks;
use crate::{DataError, Range, Result, normalize, resize};
use candle_core::{Device, Tensor};

const CLASSES: usize = 10;

/// Square images of one size, as bytes in `[channels, size, size]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    source: String,
    images: Images,
    channels: usize,
    size: usize,
    labels: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Images {
    /// `[count, channels, size, size]`.
    Stored(Vec<u8>),
    /// Composed when they are asked for.
    Stacked(Stacks),
}

impl Dataset {
    /// Takes `pixels: [count, channels, size, size]`; `source` tells people where they came from.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, `size` is not in `1..=4096`, the pixels are no positive whole number of
    /// images, or the labels are not one in `0..=9` for each image.
    pub fn new(
        name: impl Into<String>,
        source: impl Into<String>,
        pixels: Vec<u8>,
        channels: usize,
        size: usize,
        labels: Option<Vec<u8>>,
    ) -> Result<Self> {
        check_channels("channels", channels)?;
        resize::check_size(size)?;
        let area = channels * size * size;
        if pixels.is_empty() || !pixels.len().is_multiple_of(area) {
            return Err(DataError::Value {
                field: "pixels",
                expected: format!("a positive multiple of {area} bytes"),
                found: format!("{} bytes", pixels.len()),
            });
        }
        if let Some(labels) = &labels {
            let count = pixels.len() / area;
            let stranger = labels.iter().find(|&&label| usize::from(label) >= CLASSES);
            if labels.len() != count || stranger.is_some() {
                return Err(DataError::Value {
                    field: "labels",
                    expected: format!("{count} in 0..=9"),
                    found: stranger
                        .map_or_else(|| labels.len().to_string(), |label| format!("a label {label}")),
                });
            }
        }
        Ok(Self {
            name: name.into(),
            source: source.into(),
            images: Images::Stored(pixels),
            channels,
            size,
            labels,
        })
    }

    /// `count` RGB images, each of three of these gray ones as red, green and blue: an image of one of 1000 modes where these
    /// are digits (Metz et al. 2017, arXiv 1611.02163). Which three is a function of `seed` and the index of the image
    /// alone, each of them any image with equal probability. None is stored; classes are not known.
    ///
    /// # Errors
    ///
    /// If the images are not gray, or `count` is 0.
    pub fn stacked(self, seed: u64, count: usize) -> Result<Self> {
        let source = format!("stacks of three of {} images: {}", self.len(), self.source);
        let (Images::Stored(planes), 1) = (self.images, self.channels) else {
            return Err(DataError::Value {
                field: "channels",
                expected: "1, to stack gray images".to_owned(),
                found: self.channels.to_string(),
            });
        };
        let images = Images::Stacked(Stacks::new(planes, self.size, seed, count)?);
        Ok(Self { source, images, channels: 3, labels: None, ..self })
    }

    /// What the data set is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the images came from, for people to read.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Number of images, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.images {
            Images::Stored(pixels) => pixels.len() / self.area(),
            Images::Stacked(stacks) => stacks.len(),
        }
    }

    /// Always false: no data set is without images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 1 (gray) or 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of each image.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The pixels of image `index`, `[channels, size, size]`: those that are stored, or a stack of them.
    ///
    /// # Panics
    ///
    /// As a slice does, if `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> Cow<'_, [u8]> {
        match &self.images {
            Images::Stored(pixels) => Cow::Borrowed(&pixels[index * self.area()..][..self.area()]),
            Images::Stacked(stacks) => Cow::Owned(stacks.image(index)),
        }
    }

    /// The class of each image, in `0..=9`, where classes are known.
    #[must_use]
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// Number of images in each class, where classes are known.
    #[must_use]
    pub fn class_counts(&self) -> Option<[usize; CLASSES]> {
        self.labels.as_ref().map(|labels| {
            let mut counts = [0; CLASSES];
            for &label in labels {
                counts[usize::from(label)] += 1;
            }
            counts
        })
    }

    /// The same data under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// SHA-256 in hexadecimal over shape, pixels and labels: equal data, equal fingerprint, whatever the name. Of stacks it is
    /// over the gray images, the seed and which stacks there are.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let shape = [self.len(), self.channels, self.size, self.size].map(|side| (side as u64).to_le_bytes());
        match &self.images {
            // The shape fixes where the pixels end, so what follows them can only be labels.
            Images::Stored(pixels) => {
                gan_files::sha256(&[shape.as_flattened(), pixels, self.labels.as_deref().unwrap_or_default()])
            }
            Images::Stacked(stacks) => stacks.fingerprint(shape.as_flattened()),
        }
    }

    /// The same images at `size` x `size`: 28 to 32 by two black pixels on each side, so that digits keep their
    /// strokes; everything else by a triangle (bilinear) filter.
    ///
    /// # Errors
    ///
    /// If `size` is not in `1..=4096`, or the result would not fit in memory's address range.
    pub fn resize(self, size: usize) -> Result<Self> {
        let images = match self.images {
            Images::Stored(pixels) => Images::Stored(resize::planes(pixels, self.size, size)?),
            Images::Stacked(stacks) => Images::Stacked(stacks.resize(self.size, size)?),
        };
        Ok(Self { images, size, ..self })
    }

    /// The images of these indices: f32 `[n, channels, size, size]` in `range`. Gray images fill three channels alike.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, or is 1 where the data are RGB; if the device refuses.
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

    /// `count` images (all, if there are no more) at even distances in the order of the data, `chunk` at a time, each chunk
    /// as [`tensor`](Self::tensor) has it.
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

    /// `count` of its images at even distances (one if it is 0), or all, if there are no more.
    #[must_use]
    pub fn spread(self, count: usize) -> Self {
        if count >= self.len() { self } else { self.pick(evenly_spaced(self.len(), count.max(1))) }
    }

    /// Every other image from the first on, and every other from the second on. One image is in both.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let all = self.len();
        [0, 1.min(all - 1)].map(|first| self.pick((first..all).step_by(2)))
    }

    /// Refuses to show RGB images in gray.
    ///
    /// # Errors
    ///
    /// If `channels` are fewer than the data's.
    pub(crate) fn check_fits(&self, field: &'static str, channels: usize) -> Result<()> {
        if channels >= self.channels {
            return Ok(());
        }
        let expected = "3, as the data are RGB (model.channels = 3)".to_owned();
        Err(DataError::Value { field, expected, found: channels.to_string() })
    }

    fn pick(&self, indices: impl Iterator<Item = usize> + Clone) -> Self {
        let labels = self.labels.as_ref().map(|labels| indices.clone().map(|index| labels[index]).collect());
        let images = match &self.images {
            Images::Stored(pixels) => {
                let image = |index| &pixels[index * self.area()..][..self.area()];
                Images::Stored(indices.flat_map(image).copied().collect())
            }
            Images::Stacked(stacks) => Images::Stacked(stacks.pick(indices)),
        };
        Self { name: self.name.clone(), source: self.source.clone(), images, labels, ..*self }
    }

    fn area(&self) -> usize {
        self.channels * self.size * self.size
    }
}

/// At most `count` numbers below `all`, at even distances from 0 on: the same share of each part of sorted data.
pub fn evenly_spaced(all: usize, count: usize) -> impl Iterator<Item = usize> + Clone {
    let count = count.min(all);
    (0..count).map(move |i| i * all / count)
}

pub(crate) fn check_channels(field: &'static str, channels: usize) -> Result<()> {
    if matches!(channels, 1 | 3) {
        return Ok(());
    }
    Err(DataError::Value { field, expected: "1 (gray) or 3 (RGB)".to_owned(), found: channels.to_string() })
}

#[cfg(test)]
mod tests;
