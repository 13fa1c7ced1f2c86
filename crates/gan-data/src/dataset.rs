//! Images in memory: bytes in NCHW order, perhaps labels, and where they came from.

use crate::{DataError, Range, Result, normalize, resize, sha256};
use candle_core::{Device, Tensor};

const CLASSES: usize = 10;

/// Square images of one size, as bytes: `pixels` is `[count, channels, size, size]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    source: String,
    pixels: Vec<u8>,
    channels: usize,
    size: usize,
    labels: Option<Vec<u8>>,
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
        Ok(Self { name: name.into(), source: source.into(), pixels, channels, size, labels })
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
        self.pixels.len() / self.area()
    }

    /// Always false: no data set is without images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
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

    /// All pixels, `[len, channels, size, size]`.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `index`, `[channels, size, size]`.
    ///
    /// # Panics
    ///
    /// As a slice does, if `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.area()..][..self.area()]
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

    /// SHA-256 in hexadecimal over shape, pixels and labels: equal data, equal fingerprint, whatever the name.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let shape = [self.len(), self.channels, self.size, self.size].map(|side| (side as u64).to_le_bytes());
        // The shape fixes where the pixels end, so what follows them can only be labels.
        sha256::hex(&[shape.as_flattened(), &self.pixels, self.labels.as_deref().unwrap_or_default()])
    }

    /// The same images at `size` x `size`: 28 to 32 by two black pixels on each side, so that digits keep their
    /// strokes; everything else by a triangle (bilinear) filter.
    ///
    /// # Errors
    ///
    /// If `size` is not in `1..=4096`, or the result would not fit in memory's address range.
    pub fn resize(mut self, size: usize) -> Result<Self> {
        self.pixels = resize::planes(self.pixels, self.size, size)?;
        self.size = size;
        Ok(self)
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
        if channels < self.channels {
            let (field, expected) = ("channels", "3, as the data are RGB".to_owned());
            return Err(DataError::Value { field, expected, found: channels.to_string() });
        }
        let mut pixels = Vec::with_capacity(indices.len() * channels * self.size * self.size);
        for &index in indices {
            for _ in 0..channels / self.channels {
                pixels.extend_from_slice(self.image(index as usize));
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

    fn pick(&self, indices: impl Iterator<Item = usize> + Clone) -> Self {
        let pixels = indices.clone().flat_map(|index| self.image(index)).copied().collect();
        let labels = self.labels.as_ref().map(|labels| indices.map(|index| labels[index]).collect());
        Self { name: self.name.clone(), source: self.source.clone(), pixels, labels, ..*self }
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
mod tests {
    use super::*;

    fn dataset(labels: Option<Vec<u8>>) -> Result<Dataset> {
        Dataset::new("test", "nowhere", (0..24).collect(), 3, 2, labels)
    }

    #[test]
    fn images_are_found_by_index() {
        let data = dataset(Some(vec![7, 7])).unwrap();
        assert_eq!((data.len(), data.channels(), data.size(), data.is_empty()), (2, 3, 2, false));
        assert_eq!(data.image(1), (12..24).collect::<Vec<u8>>());
        assert_eq!(data.class_counts(), Some([0, 0, 0, 0, 0, 0, 0, 2, 0, 0]));
    }

    #[test]
    fn parts_keep_their_labels() {
        let pixels = (0..5).flat_map(|i| [i * 10; 4]).collect();
        let data = Dataset::new("test", "nowhere", pixels, 1, 2, Some(vec![0, 1, 2, 3, 4])).unwrap();
        let parts = |data: &Dataset| (data.labels().unwrap().to_vec(), data.image(data.len() - 1)[0]);
        assert_eq!(data.halves().map(|half| parts(&half)), [(vec![0, 2, 4], 40), (vec![1, 3], 30)]);
        assert_eq!(parts(&data.clone().spread(2)), (vec![0, 2], 20));
        assert_eq!(data.clone().spread(5), data);
        assert_eq!(data.clone().spread(9), data);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (labels, part) in [(vec![1], "expected 2 in 0..=9, found 1"), (vec![1, 10], "a label 10")] {
            let error = dataset(Some(labels)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Dataset::new("t", "", vec![0; 8], 2, 2, None).is_err());
        assert!(Dataset::new("t", "", vec![0; 5], 1, 2, None).is_err());
        assert!(Dataset::new("t", "", vec![], 1, 2, None).is_err());
        assert!(Dataset::new("t", "", vec![], 1, 0, None).is_err());
    }

    #[test]
    fn the_fingerprint_covers_pixels_shape_and_labels_only() {
        let data = |pixels, channels, size, labels| {
            Dataset::new("a", "b", pixels, channels, size, labels).unwrap().fingerprint()
        };
        let base = data(vec![0; 12], 3, 2, None);
        assert_eq!(base.len(), 64);
        assert_ne!(base, data(vec![0; 12], 1, 2, None));
        assert_ne!(base, data(vec![1; 12], 3, 2, None));
        assert_ne!(base, data(vec![0; 12], 3, 2, Some(vec![0])));
        let renamed = Dataset::new("x", "y", vec![0; 12], 3, 2, None).unwrap();
        assert_eq!(base, renamed.fingerprint());
    }
}
