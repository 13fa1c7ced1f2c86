//! Images in memory: bytes in NCHW order, perhaps labels, and where they came from.

use std::borrow::Cow;

use crate::stacked::Stacks;
use crate::{DataError, Range, Result, normalize, resize};
use candle_core::{Device, Tensor};

/// A label is a byte.
const MAX_CLASSES: usize = 256;

/// Square images of one size, as bytes in `[channels, size, size]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    source: String,
    images: Storage,
    channels: usize,
    size: usize,
    labels: Option<Labelling>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Storage {
    /// `[count, channels, size, size]`.
    Stored(Vec<u8>),
    /// Composed when they are asked for.
    Stacked(Stacks),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Labelling {
    /// One for each image, all below `classes`.
    of_images: Vec<u8>,
    classes: usize,
}

impl Dataset {
    /// Takes `pixels: [count, channels, size, size]`, without labels; `source` tells people where they came from.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, `size` is not in `1..=4096`, or the pixels are no positive whole number of
    /// images.
    pub fn new(
        name: impl Into<String>,
        source: impl Into<String>,
        pixels: Vec<u8>,
        channels: usize,
        size: usize,
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
        let (name, source, images) = (name.into(), source.into(), Storage::Stored(pixels));
        Ok(Self { name, source, images, channels, size, labels: None })
    }

    /// The same images with the class of each, one of `classes`.
    ///
    /// # Errors
    ///
    /// If there are no classes or more than 256, or the labels are not one below `classes` for each image.
    pub fn with_labels(self, labels: Vec<u8>, classes: usize) -> Result<Self> {
        let wrong = |field, expected, found| Err(DataError::Value { field, expected, found });
        if !(1..=MAX_CLASSES).contains(&classes) {
            return wrong("classes", format!("1..={MAX_CLASSES}"), classes.to_string());
        }
        let expected = format!("{} in 0..={}", self.len(), classes - 1);
        if labels.len() != self.len() {
            return wrong("labels", expected, labels.len().to_string());
        }
        if let Some(stranger) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return wrong("labels", expected, format!("a label {stranger}"));
        }
        Ok(Self { labels: Some(Labelling { of_images: labels, classes }), ..self })
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
        let (Storage::Stored(planes), 1) = (self.images, self.channels) else {
            return Err(DataError::Value {
                field: "channels",
                expected: "1, to stack gray images".to_owned(),
                found: self.channels.to_string(),
            });
        };
        let images = Storage::Stacked(Stacks::new(planes, self.size, seed, count)?);
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
            Storage::Stored(pixels) => pixels.len() / self.area(),
            Storage::Stacked(stacks) => stacks.len(),
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
            Storage::Stored(pixels) => Cow::Borrowed(&pixels[index * self.area()..][..self.area()]),
            Storage::Stacked(stacks) => Cow::Owned(stacks.image(index)),
        }
    }

    /// The class of each image, where classes are known.
    #[must_use]
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_ref().map(|labels| &labels.of_images[..])
    }

    /// Number of images in each class, where classes are known.
    #[must_use]
    pub fn class_counts(&self) -> Option<Vec<usize>> {
        self.labels.as_ref().map(|labels| {
            let mut counts = vec![0; labels.classes];
            for &label in &labels.of_images {
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
            Storage::Stored(pixels) => {
                gan_files::sha256(&[shape.as_flattened(), pixels, self.labels().unwrap_or_default()])
            }
            Storage::Stacked(stacks) => stacks.fingerprint(shape.as_flattened()),
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
            Storage::Stored(pixels) => Storage::Stored(resize::planes(pixels, self.size, size)?),
            Storage::Stacked(stacks) => Storage::Stacked(stacks.resize(self.size, size)?),
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
        let labels = self.labels.as_ref().map(|Labelling { of_images, classes }| {
            let of_images = indices.clone().map(|index| of_images[index]).collect();
            Labelling { of_images, classes: *classes }
        });
        let images = match &self.images {
            Storage::Stored(pixels) => {
                let image = |index| &pixels[index * self.area()..][..self.area()];
                Storage::Stored(indices.flat_map(image).copied().collect())
            }
            Storage::Stacked(stacks) => Storage::Stacked(stacks.pick(indices)),
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
