//! Images in memory: bytes in NCHW order, labels if there are any, and the origin of the images.

mod content;
mod part;
mod tensors;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::folder::Transform;
use crate::stacked::Stacks;
use crate::{DataError, Result, resize};
pub use part::{evenly_spaced, scattered};

/// Largest number of classes.
const MAX_CLASSES: usize = 1000;

/// Square images of one size, as bytes in `[channels, size, size]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    source: String,
    images: Storage,
    channels: usize,
    size: usize,
    labels: Option<Labelling>,
    /// Number of images that had transparent parts. These parts are black now.
    transparent: usize,
    /// The largest value in the pictures of 16 bits, if there are any.
    deepest: Option<u16>,
    /// The size before resizing, if the published images of this data set have another.
    unusual_size: Option<usize>,
    /// What happened to pictures before they were resized.
    transform: Option<Transform>,
    /// The colour that their transparent parts have.
    ground: Option<[u8; 3]>,
    /// The fingerprint of the images that are kept from training, if these are the others.
    held_out: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Storage {
    /// `[count, channels, size, size]`.
    Stored(Vec<u8>),
    /// Composed when they are requested.
    Stacked(Stacks),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Labelling {
    /// One label for each image. All are below `classes`.
    of_images: Vec<u16>,
    classes: usize,
    /// A name for each class. Empty if the classes have no names.
    names: Vec<String>,
}

impl Dataset {
    /// Takes `pixels: [count, channels, size, size]`, without labels. `source` describes the origin
    /// of the images in words.
    ///
    /// # Errors
    ///
    /// If `channels` is neither 1 nor 3, `size` is not in `1..=4096`, or the pixels are not a whole
    /// number of images, at least 1.
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
        let (labels, deepest, unusual_size) = (None, None, None);
        let (transparent, transform) = (0, None);
        Ok(Self {
            name,
            source,
            images,
            channels,
            size,
            labels,
            transparent,
            deepest,
            unusual_size,
            transform,
            ground: None,
            held_out: None,
        })
    }

    /// The same images with the class of each. There are `classes` classes.
    ///
    /// # Errors
    ///
    /// If there are no classes or more than 1000, if there is not one label for each image, or if a
    /// label is not below `classes`.
    pub fn with_labels(self, labels: Vec<u16>, classes: usize) -> Result<Self> {
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
        let labels = Labelling { of_images: labels, classes, names: vec![] };
        Ok(Self { labels: Some(labels), ..self })
    }

    /// The same images, whose classes have these names, in the order of their labels.
    ///
    /// # Errors
    ///
    /// If there are no labels, there is not one name for each class, or two classes have the same
    /// name.
    pub fn with_class_names(mut self, names: Vec<String>) -> Result<Self> {
        let wrong = |expected, found| Err(DataError::Value { field: "class names", expected, found });
        let Some(labels) = &mut self.labels else {
            return wrong("none, as there are no labels".to_owned(), names.len().to_string());
        };
        if names.len() != labels.classes {
            return wrong(format!("{}, one for each class", labels.classes), names.len().to_string());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return wrong("different names".to_owned(), format!("{twice} twice"));
        }
        labels.names = names;
        Ok(self)
    }

    /// Makes `count` RGB images. Each has three of these gray images as red, green and blue. For
    /// ten classes of digits it is one of 1000 modes (Metz et al. 2017, arXiv 1611.02163). `seed`
    /// and the index of the image alone determine the three, and each gray image has the same
    /// probability. The RGB images are not stored. Their classes are unknown.
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

    /// The name of the data set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The origin of the images, in words.
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

    /// Always false, because a data set has at least one image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of channels: 1 (gray) or 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of each image.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// How pictures of any size and colours became these images, now or when an archive of them was
    /// made. The background is black if no picture had transparent parts. `None` for other data.
    #[must_use]
    pub fn transform(&self) -> Option<Transform> {
        self.transform
    }

    /// The red, green and blue of what was transparent, if anything was. With the background "mean", only the
    /// pictures tell it.
    #[must_use]
    pub fn ground(&self) -> Option<[u8; 3]> {
        self.ground
    }

    /// Height and width of each image in its file, if the published images of the data set have
    /// another size. [`size`](Self::size) may differ, because images are resized.
    #[must_use]
    pub fn unusual_size(&self) -> Option<usize> {
        self.unusual_size
    }

    /// The pixels of image `index`, `[channels, size, size]`. They are stored, or composed now from
    /// a stack.
    ///
    /// # Panics
    ///
    /// Like a slice, if `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> Cow<'_, [u8]> {
        match &self.images {
            Storage::Stored(pixels) => Cow::Borrowed(&pixels[index * self.area()..][..self.area()]),
            Storage::Stacked(stacks) => Cow::Owned(stacks.image(index)),
        }
    }

    /// The class of each image, if classes are known.
    #[must_use]
    pub fn labels(&self) -> Option<&[u16]> {
        self.labels.as_ref().map(|labels| &labels.of_images[..])
    }

    /// The name of each class, in the order of their labels. Empty if the classes have no names, or
    /// are not known.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        self.labels.as_ref().map_or(&[], |labels| &labels.names)
    }

    /// Number of images in each class, if classes are known.
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

    /// Number of images that had transparent parts, if these parts are black now.
    #[must_use]
    pub fn blackened(&self) -> usize {
        self.transparent
    }

    /// The same data under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// SHA-256 in hexadecimal of shape, pixels and labels. Equal data have equal fingerprints, also
    /// under different names. It covers the images that `hold-out` keeps from these, too. For stacks it covers the gray images, the seed, and which stacks
    /// there are.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let shape = [self.len(), self.channels, self.size, self.size].map(|side| (side as u64).to_le_bytes());
        match &self.images {
            // The shape determines where the pixels end, so only labels can follow.
            Storage::Stored(pixels) => {
                let labels = label_bytes(self.labels().unwrap_or_default());
                let held_out = self.held_out.as_deref().unwrap_or_default();
                gan_files::sha256(&[shape.as_flattened(), pixels, &labels, held_out.as_bytes()])
            }
            Storage::Stacked(stacks) => stacks.fingerprint(shape.as_flattened()),
        }
    }

    /// The same images at `size` x `size`. From 28 to 32 it adds two black pixels on each side, so
    /// that digits keep their strokes. In all other cases it uses a triangle (bilinear) filter.
    ///
    /// # Errors
    ///
    /// If `size` is not in `1..=4096`, or the result has more than 4 GiB.
    pub fn resize(self, size: usize) -> Result<Self> {
        let images = match self.images {
            Storage::Stored(pixels) => Storage::Stored(resize::planes(pixels, self.size, size)?),
            Storage::Stacked(stacks) => Storage::Stacked(stacks.resize(self.size, size)?),
        };
        Ok(Self { images, size, ..self })
    }

    /// The same data, of which so many images had transparent parts.
    pub(crate) fn with_transparent(self, transparent: usize) -> Self {
        Self { transparent, ..self }
    }

    /// The same data, whose pictures of 16 bits reach this value.
    pub(crate) fn with_deepest(self, deepest: Option<u16>) -> Self {
        Self { deepest, ..self }
    }

    pub(crate) fn with_transform(self, transform: Transform) -> Self {
        Self { transform: Some(transform), ..self }
    }

    pub(crate) fn with_ground(self, ground: Option<[u8; 3]>) -> Self {
        Self { ground, ..self }
    }

    /// The same data, whose images have another size than the published ones.
    pub(crate) fn with_unusual_size(self) -> Self {
        Self { unusual_size: Some(self.size), ..self }
    }

    /// Checks that RGB images are not used as gray ones.
    ///
    /// # Errors
    ///
    /// If `channels` is smaller than the number of channels of the data.
    pub(crate) fn check_fits(&self, field: &'static str, channels: usize) -> Result<()> {
        if channels >= self.channels {
            return Ok(());
        }
        let expected = "3, as the data are RGB (model.channels = 3)".to_owned();
        Err(DataError::Value { field, expected, found: channels.to_string() })
    }

    fn area(&self) -> usize {
        self.channels * self.size * self.size
    }
}

/// Labels as bytes: one for each label if it is enough for all of them, else two.
fn label_bytes(labels: &[u16]) -> Vec<u8> {
    let bytes: std::result::Result<Vec<u8>, _> = labels.iter().map(|&label| u8::try_from(label)).collect();
    bytes.unwrap_or_else(|_| labels.iter().flat_map(|label| label.to_le_bytes()).collect())
}

pub(crate) fn check_channels(field: &'static str, channels: usize) -> Result<()> {
    if matches!(channels, 1 | 3) {
        return Ok(());
    }
    Err(DataError::Value { field, expected: "1 (gray) or 3 (RGB)".to_owned(), found: channels.to_string() })
}

#[cfg(test)]
mod tests;
