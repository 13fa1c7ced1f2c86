//! Differentiable augmentation. D sees every image, real or fake, with other colours, shifted and
//! with a hole, and the gradient goes back through this change (Zhao et al. 2020, arXiv 2006.10738).
//! Pixels that move in from outside and pixels of a hole are 0, the middle of the images' range, as
//! in the authors' program.

mod tone;

use crate::error::{Result, TrainError};
use gan_ops::rng::Stream;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tone::Tone;

/// The augmentations, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Augment {
    /// Whether brightness, saturation and contrast of each image change: the `color` of the authors'
    /// program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub color: bool,
    /// Each image is shifted up or down and left or right by up to this share of its side, in
    /// whole pixels. The authors' program uses 0.125.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<f64>,
    /// Side of a square hole, as a share of the image's side. The hole can be anywhere, and partly
    /// outside. The authors' program uses 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutout: Option<f64>,
    /// Each augmentation changes this share of the images, chosen for each of them by itself. If it is
    /// absent, all images are changed. Up to about 0.8, G learns nothing of the change, because D sees
    /// unchanged images most often (Karras et al. 2020, arXiv 2006.06676, section 2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// The change of one image. It is a linear map, and a constant if the colours change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    tone: Option<Tone>,
    /// The pixel shown in row `y` and column `x` comes from row `y + shift[0]` and column
    /// `x + shift[1]`.
    shift: [isize; 2],
    /// Rows and columns of the hole.
    hole: [Range<usize>; 2],
}

impl Augment {
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        let shares = [("translation", self.translation), ("cutout", self.cutout)];
        if !self.color && shares.iter().all(|(_, share)| share.is_none()) {
            let problem = "expected color, translation or cutout, found none of them";
            return Err(TrainError::config(field, problem));
        }
        for (key, share) in shares.into_iter().chain([("probability", self.probability)]) {
            if let Some(share) = share.filter(|share| !(*share > 0. && *share <= 1.)) {
                let problem = format!("expected a number over 0 and up to 1, found {share}");
                return Err(TrainError::config(format!("{field}.{key}"), problem));
            }
        }
        Ok(())
    }

    /// Draws a change for each of `samples` images of `height` and `width`.
    pub(crate) fn places(
        &self,
        stream: &mut Stream,
        samples: usize,
        [height, width]: [usize; 2],
    ) -> Result<Vec<Place>> {
        let device = candle_core::Device::Cpu;
        // Each image takes the same number of draws in any case, so that one augmentation does not
        // change the other.
        let draws = stream.uniform(0., 1., (samples, 4), &device)?.to_vec2::<f32>()?;
        let tones =
            if self.color { Tone::draw(stream, samples)?.map(Some).collect() } else { vec![None; samples] };
        let pixels = |side: usize, share: f64| (side as f64 * share + 0.5) as usize;
        // Turns a draw into a whole number below `count`.
        let below = |draw: f32, count: usize| ((f64::from(draw) * count as f64) as usize).min(count - 1);
        let shift = |draw: f32, side: usize| {
            let most = self.translation.map_or(0, |share| pixels(side, share));
            below(draw, 2 * most + 1).cast_signed() - most.cast_signed()
        };
        let hole = |draw: f32, side: usize| {
            let size = self.cutout.map_or(0, |share| pixels(side, share));
            if size == 0 {
                return 0..0;
            }
            // The centre of a hole of an even size is between pixels, or on either edge.
            let middle = below(draw, side + 1 - size % 2);
            middle.saturating_sub(size / 2)..(middle + size - size / 2).min(side)
        };
        let place = |(draws, tone): (&Vec<f32>, Option<Tone>)| Place {
            tone,
            shift: [shift(draws[0], height), shift(draws[1], width)],
            hole: [hole(draws[2], height), hole(draws[3], width)],
        };
        let mut places: Vec<Place> = draws.iter().zip(tones).map(place).collect();
        if let Some(probability) = self.probability {
            let draws = stream.uniform(0., 1., (samples, 3), &device)?.to_vec2::<f32>()?;
            for (place, draws) in places.iter_mut().zip(draws) {
                place.keep(draws.iter().map(|&draw| f64::from(draw) < probability));
            }
        }
        Ok(places)
    }
}

impl Place {
    /// Keeps only these of the augmentations: of colours, the shift, and the hole.
    fn keep(&mut self, kept: impl IntoIterator<Item = bool>) {
        let mut kept = kept.into_iter();
        if kept.next() == Some(false) {
            self.tone = None;
        }
        if kept.next() == Some(false) {
            self.shift = [0; 2];
        }
        if kept.next() == Some(false) {
            self.hole = [0..0, 0..0];
        }
    }
}

/// The images as D sees them. `images` are `[B, C, H, W]`, and each image has one place.
pub(crate) fn show(places: &[Place], mut images: Vec<f32>, shape: [usize; 3]) -> Vec<f32> {
    for_toned(places, &mut images, shape, Tone::change);
    let mut shown = vec![0.; images.len()];
    for_runs(places, shape, |seen, stands| shown[seen].copy_from_slice(&images[stands]));
    shown
}

/// The gradient of the images from the gradient of the result of [`show`]. It is the transpose of
/// the linear part of `show`.
pub(crate) fn back(places: &[Place], gradient: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let mut of_images = vec![0.; gradient.len()];
    for_runs(places, shape, |seen, stands| of_images[stands].copy_from_slice(&gradient[seen]));
    for_toned(places, &mut of_images, shape, Tone::change_back);
    of_images
}

/// Calls `f` for each image whose colours change, with its number of channels.
fn for_toned(
    places: &[Place],
    images: &mut [f32],
    [channels, height, width]: [usize; 3],
    f: fn(&Tone, &mut [f32], usize),
) {
    for (place, image) in places.iter().zip(images.chunks_exact_mut(channels * height * width)) {
        if let Some(tone) = &place.tone {
            f(tone, image, channels);
        }
    }
}

/// Calls `f` for all runs of pixels of a row that are seen side by side: with the positions where
/// they are seen, and those where they come from. No pixel is seen twice.
fn for_runs(
    places: &[Place],
    [channels, height, width]: [usize; 3],
    mut f: impl FnMut(Range<usize>, Range<usize>),
) {
    for (sample, Place { shift: [down, right], hole: [rows, columns], .. }) in places.iter().enumerate() {
        // The columns that show a column of the image.
        let first = right.min(&0).unsigned_abs().min(width);
        let last = width.saturating_sub(right.max(&0).unsigned_abs());
        let beside_hole = [first..last.min(columns.start), first.max(columns.end)..last];
        let whole = [first..last, 0..0];
        for channel in 0..channels {
            let start = (sample * channels + channel) * height * width;
            for y in 0..height {
                let Some(from) = y.checked_add_signed(*down).filter(|from| *from < height) else { continue };
                let runs = if rows.contains(&y) && !columns.is_empty() { &beside_hole } else { &whole };
                for run in runs.iter().filter(|run| !run.is_empty()) {
                    let seen = start + y * width + run.start;
                    let stands = start + from * width + run.start.strict_add_signed(*right);
                    f(seen..seen + run.len(), stands..stands + run.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const BOTH: Augment =
        Augment { color: false, translation: Some(0.25), cutout: Some(0.5), probability: None };
    const ALL: Augment = Augment { color: true, ..BOTH };

    fn values(purpose: &str, count: usize) -> Vec<f32> {
        let tensor = Stream::new(5, purpose, 0).uniform(-1., 1., count, &Device::Cpu).unwrap();
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn a_place_is_what_the_authors_program_makes_of_it() {
        let image: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        // The image moves one down and one to the left. The hole is the first two pixels of the
        // last row.
        let place = Place { tone: None, shift: [-1, 1], hole: [2..3, 0..2] };
        let shown = show(std::slice::from_ref(&place), image, [1, 3, 4]);
        assert!(shown == [0., 0., 0., 0., 2., 3., 4., 0., 0., 0., 8., 0.], "{shown:?}");
    }

    #[test]
    fn rows_are_moved_as_their_pixels_are_defined() {
        let [channels, height, width] = [2, 6, 5];
        let far = Augment { translation: Some(1.), cutout: Some(0.6), ..BOTH };
        let places = far.places(&mut Stream::new(2, "places", 0), 200, [height, width]).unwrap();
        let images = values("images", 200 * channels * height * width);
        let mut expected = vec![0.; images.len()];
        for (sample, Place { shift, hole, .. }) in places.iter().enumerate() {
            for (channel, y, x) in
                (0..channels * height * width).map(|i| (i / (height * width), i / width % height, i % width))
            {
                let start = (sample * channels + channel) * height * width;
                let from = [y.checked_add_signed(shift[0]), x.checked_add_signed(shift[1])];
                if let [Some(row @ ..6), Some(column @ ..5)] = from
                    && !(hole[0].contains(&y) && hole[1].contains(&x))
                {
                    expected[start + y * width + x] = images[start + row * width + column];
                }
            }
        }
        assert!(show(&places, images, [channels, height, width]) == expected);
    }

    #[test]
    fn the_way_back_is_the_transpose() {
        let shape = [3, 7, 5];
        for (augment, tolerance) in [(BOTH, 1e-12), (ALL, 1e-4)] {
            let places = augment.places(&mut Stream::new(1, "places", 0), 9, [7, 5]).unwrap();
            let (x, y) = (values("x", 9 * 105), values("y", 9 * 105));
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            // Without its constant part, the change is linear.
            let constant = show(&places, vec![0.; x.len()], shape);
            let linear: Vec<f32> =
                show(&places, x.clone(), shape).iter().zip(constant).map(|(a, b)| a - b).collect();
            let (there, and_back) = (dot(&linear, &y), dot(&x, &back(&places, &y, shape)));
            assert!((there - and_back).abs() < tolerance && there != 0., "{there} {and_back}");
        }
    }

    #[test]
    fn shifts_and_holes_reach_as_far_as_the_configuration_says() {
        let places = BOTH.places(&mut Stream::new(1, "places", 0), 4000, [8, 7]).unwrap();
        // A quarter of 8 and a quarter of 7 are 2 pixels each.
        for axis in 0..2 {
            let shifts: Vec<isize> = places.iter().map(|place| place.shift[axis]).collect();
            for shift in -2..=2 {
                let count = shifts.iter().filter(|found| **found == shift).count();
                assert!((650..950).contains(&count), "{shift}: {count} of 4000");
            }
            assert!(shifts.iter().all(|shift| shift.abs() <= 2));
        }
        // A hole of 4 is anywhere from -2..2, half outside, to 6..10.
        let rows =
            |hole: Range<usize>| -> usize { places.iter().filter(|place| place.hole[0] == hole).count() };
        for hole in [0..2, 0..3, 0..4, 1..5, 4..8, 5..8, 6..8] {
            let count = rows(hole.clone());
            assert!((330..560).contains(&count), "{hole:?}: {count} of 4000");
        }
        assert_eq!(rows(0..1) + rows(7..8), 0);
        // 7 * 0.5 + 0.5 is 4, too.
        assert!(places.iter().all(|place| (2..=4).contains(&place.hole[1].len()) && place.hole[1].end <= 7));
    }

    #[test]
    fn one_augmentation_does_not_move_the_other() {
        let draw = |augment: Augment| augment.places(&mut Stream::new(1, "places", 0), 5, [8, 8]).unwrap();
        let (both, moved) = (draw(BOTH), draw(Augment { cutout: None, ..BOTH }));
        for (both, moved) in both.iter().zip(&moved) {
            assert!(both.shift == moved.shift && moved.hole == [0..0, 0..0]);
        }
        for (both, all) in both.iter().zip(draw(ALL)) {
            assert!(both.tone.is_none() && all.tone.is_some());
            assert_eq!((&both.shift, &both.hole), (&all.shift, &all.hole));
        }
        let cut = draw(Augment { translation: None, ..BOTH });
        assert!(both.iter().zip(&cut).all(|(both, cut)| both.hole == cut.hole && cut.shift == [0, 0]));
    }

    #[test]
    fn each_augmentation_changes_its_share_of_the_images() {
        let draw = |augment: Augment| augment.places(&mut Stream::new(1, "places", 0), 4000, [9, 9]).unwrap();
        let (always, some) = (draw(ALL), draw(Augment { probability: Some(0.25), ..ALL }));
        let mut counts = [0; 4];
        for (always, some) in always.iter().zip(&some) {
            let is_kept = [some.tone == always.tone, some.shift == always.shift, some.hole == always.hole];
            let is_dropped = [some.tone.is_none(), some.shift == [0, 0], some.hole == [0..0, 0..0]];
            assert!(is_kept.iter().zip(is_dropped).all(|(kept, dropped)| *kept || dropped));
            counts[0] += usize::from(is_kept[0]);
            counts[1] += usize::from(!is_dropped[1]);
            counts[2] += usize::from(!is_dropped[2]);
            counts[3] += usize::from(is_kept[0] && !is_dropped[2]);
        }
        // A shift is [0, 0] by itself in one of 25 cases. The choices do not depend on each other.
        for (count, expected) in counts.into_iter().zip([1000, 960, 1000, 250]) {
            assert!(count.abs_diff(expected) < 100, "{counts:?}");
        }
    }

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        BOTH.validate("x").unwrap();
        let problem = |augment: Augment| augment.validate("x").unwrap_err().to_string();
        let none = Augment { translation: None, cutout: None, ..BOTH };
        assert_eq!(problem(none), "x: expected color, translation or cutout, found none of them");
        Augment { color: true, ..none }.validate("x").unwrap();
        assert_eq!(
            problem(Augment { cutout: Some(0.), ..BOTH }),
            "x.cutout: expected a number over 0 and up to 1, found 0"
        );
        assert!(problem(Augment { translation: Some(1.5), ..BOTH }).starts_with("x.translation: "));
        assert!(problem(Augment { probability: Some(0.), ..BOTH }).starts_with("x.probability: "));
        assert!(problem(Augment { translation: Some(f64::NAN), ..BOTH }).ends_with("found NaN"));
    }
}
