//! What the pixels of a data set say about it.

use std::borrow::Cow;

use super::{Dataset, Storage};

/// The largest value of 12 bits. Cameras and scanners write such values to files of 16 bits, where
/// white would be 65535.
const TWELVE_BITS: u16 = 4095;

impl Dataset {
    /// A reason to doubt that these are the images that were meant: all pixels of all images are
    /// the same, or pictures of 16 bits have only values of 12 bits. `None` if there is no reason.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        self.single_color().or_else(|| {
            let deepest = self.deepest.filter(|&deepest| deepest <= TWELVE_BITS)?;
            Some(format!(
                "the values of the 16-bit pictures end at {deepest} of 65535, so they are nearly black (if \
                 they have 12 bits, multiply them by 16 first)"
            ))
        })
    }

    fn single_color(&self) -> Option<String> {
        let area = self.size * self.size;
        let first: Vec<u8> = self.image(0).iter().step_by(area).copied().collect();
        let is_first = |image: Cow<'_, [u8]>| {
            let mut planes = image.chunks_exact(area).zip(&first);
            planes.all(|(plane, value)| plane.iter().all(|pixel| pixel == value))
        };
        if !(0..self.len()).all(|index| is_first(self.image(index))) {
            return None;
        }
        let color: Vec<_> = first.iter().map(u8::to_string).collect();
        let doubt = format!("all {} images are one and the same colour ({})", self.len(), color.join(", "));
        Some(match self.transparent {
            0 => doubt,
            transparent => format!(
                "{doubt}: {transparent} of them have transparent parts, which become black (flatten the \
                 pictures on a white ground first)"
            ),
        })
    }

    /// The same images with one channel, if they are RGB and all channels of each are equal. `None`
    /// if they are not.
    #[must_use]
    pub fn gray(&self) -> Option<Self> {
        let area = self.size * self.size;
        let is_gray = |image: Cow<'_, [u8]>| {
            image[..area] == image[area..2 * area] && image[..area] == image[2 * area..]
        };
        if self.channels != 3 || !(0..self.len()).all(|index| is_gray(self.image(index))) {
            return None;
        }
        let pixels = (0..self.len()).flat_map(|index| self.image(index)[..area].to_vec()).collect();
        let (name, source, labels) = (self.name.clone(), self.source.clone(), self.labels.clone());
        Some(Self { name, source, images: Storage::Stored(pixels), channels: 1, labels, ..*self })
    }
}
