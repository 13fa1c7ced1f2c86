//! What the pixels of a data set say about it.

use std::borrow::Cow;

use super::{Dataset, Storage};

/// The largest value of 12 bits. Cameras and scanners write such values to files of 16 bits, where
/// white would be 65535.
const TWELVE_BITS: u16 = 4095;

/// No photograph or drawing is so dark that no value is larger than this. Masks and labels are.
const FEW: u8 = 15;

impl Dataset {
    /// A reason to doubt that these are the images that were meant: all images are the same, or they
    /// are nearly black, because their values need fewer bits than their files have. `None` if there
    /// is no reason.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let same = self.single_color().or_else(|| self.single_image());
        same.or_else(|| self.twelve_bits()).or_else(|| self.few_values())
    }

    fn twelve_bits(&self) -> Option<String> {
        let deepest = self.deepest.filter(|&deepest| deepest <= TWELVE_BITS)?;
        Some(format!(
            "the values of the 16-bit pictures end at {deepest} of 65535, so they are nearly black (if they have \
             12 bits, multiply them by 16 first)"
        ))
    }

    fn single_image(&self) -> Option<String> {
        let first = self.image(0);
        let are_all = self.len() > 1 && (1..self.len()).all(|index| self.image(index) == first);
        are_all.then(|| format!("all {} images are the same", self.len()))
    }

    fn few_values(&self) -> Option<String> {
        let mut largest = 0;
        for index in 0..self.len() {
            largest = self.image(index).iter().copied().fold(largest, u8::max);
            if largest > FEW {
                return None;
            }
        }
        Some(format!(
            "the largest value is {largest} of 255, so the images are nearly black (masks and labels have such \
             values; spread them over 0 to 255 first)"
        ))
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
        let color = color.join(", ");
        let doubt = match self.len() {
            1 => format!("the only image is of one colour ({color})"),
            all => format!("all {all} images are one and the same colour ({color})"),
        };
        Some(match self.transparent {
            0 => doubt,
            transparent => {
                let some = match transparent {
                    _ if self.len() == 1 => "it has".to_owned(),
                    1 => "1 of them has".to_owned(),
                    some => format!("{some} of them have"),
                };
                format!(
                    "{doubt}: {some} transparent parts, which become black (data.background = \"white\" \
                     makes them white)"
                )
            }
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
        let (images, held_out) = (Storage::Stored(pixels), self.held_out.clone());
        Some(Self { name, source, images, channels: 1, labels, held_out, ..*self })
    }
}
