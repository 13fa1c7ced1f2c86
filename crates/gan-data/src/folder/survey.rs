//! The shapes of a folder's pictures, without decoding them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::budget::Budget;
use super::{DECODING_BYTES, all, find};
use crate::Result;

/// Number of sizes that [`Survey::mixture`] names.
const SIZES: usize = 4;

/// How many pictures of a folder have which shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Number of pictures for each length of the shorter side.
    sides: BTreeMap<usize, usize>,
    /// Number of pictures for each width and height.
    sizes: BTreeMap<(u32, u32), usize>,
    /// Number of pictures for each way to store colours.
    modes: BTreeMap<String, usize>,
    gray: usize,
    colored: usize,
    animated: usize,
}

/// Reads the headers of all pictures that [`load`](super::load) would read in `dir`.
///
/// # Errors
///
/// If the directory cannot be read or contains no pictures, or if pictures are cut off or larger
/// than [`load`](super::load) allows.
pub fn survey(dir: impl AsRef<Path>) -> Result<Survey> {
    let dir = dir.as_ref();
    let found = find::pictures(dir)?;
    let budget = Budget::new(DECODING_BYTES);
    let shape = |path: &Path| {
        let picture = found.open(path, &budget)?;
        Ok((picture.side(), picture.dimensions(), picture.mode(), picture.has_color(), picture.is_animated()))
    };
    let shapes = all(dir, &found, found.pictures.par_iter().map(|path| shape(path)).collect())?;
    let mut survey = Survey {
        sides: BTreeMap::new(),
        sizes: BTreeMap::new(),
        modes: BTreeMap::new(),
        gray: 0,
        colored: 0,
        animated: 0,
    };
    for (side, size, mode, has_color, is_animated) in shapes {
        *survey.sides.entry(side).or_default() += 1;
        *survey.sizes.entry(size).or_default() += 1;
        *survey.modes.entry(mode).or_default() += 1;
        *if has_color { &mut survey.colored } else { &mut survey.gray } += 1;
        survey.animated += usize::from(is_animated);
    }
    Ok(survey)
}

impl Survey {
    /// 3 if any picture has colours, else 1.
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.colored > 0 { 3 } else { 1 }
    }

    /// The most common length of the shorter side. The shorter of equally common ones.
    #[must_use]
    pub fn side(&self) -> usize {
        self.by_frequency().first().map_or(1, |&(side, _)| side)
    }

    /// What is mixed in the folder, with counts. `None` if all pictures have the same shorter side
    /// and are all gray or all with colours.
    #[must_use]
    pub fn mixture(&self) -> Option<String> {
        let sides = self.by_frequency();
        let mut mixed: Vec<_> = sides
            .iter()
            .take(if sides.len() > 1 { SIZES } else { 0 })
            .map(|(side, count)| format!("{count} of side {side}"))
            .collect();
        let rest: usize = sides.iter().skip(SIZES).map(|&(_, count)| count).sum();
        if rest > 0 {
            mixed.push(format!("{rest} of {} other sides", sides.len() - SIZES));
        }
        if self.gray > 0 && self.colored > 0 {
            mixed.push(format!("{} gray and {} RGB", self.gray, self.colored));
        }
        (!mixed.is_empty()).then(|| mixed.join(", "))
    }

    /// The most common sizes with counts: `12 of 64x64, 3 of 100x80, 5 of 4 other sizes`.
    #[must_use]
    pub fn sizes(&self) -> String {
        let mut sizes: Vec<_> = self.sizes.iter().collect();
        sizes.sort_by_key(|&(&size, &count)| (Reverse(count), size));
        let shown =
            sizes.iter().take(SIZES).map(|((width, height), count)| format!("{count} of {width}x{height}"));
        let mut shown: Vec<_> = shown.collect();
        let rest: usize = sizes.iter().skip(SIZES).map(|(_, count)| **count).sum();
        if rest > 0 {
            shown.push(format!("{rest} of {} other sizes", sizes.len() - SIZES));
        }
        shown.join(", ")
    }

    /// Number of pictures that are not square. Only their central squares are used.
    #[must_use]
    pub fn not_square(&self) -> usize {
        self.sizes.iter().filter(|((width, height), _)| width != height).map(|(_, count)| count).sum()
    }

    /// Number of pictures with several frames. Only their first frames are used.
    #[must_use]
    pub fn animated(&self) -> usize {
        self.animated
    }

    /// How the pictures are stored, with counts: `12 RGB, 3 gray with transparency`.
    #[must_use]
    pub fn modes(&self) -> String {
        let mut modes: Vec<_> = self.modes.iter().collect();
        modes.sort_by_key(|&(mode, &count)| (Reverse(count), mode));
        let shown: Vec<_> = modes.iter().map(|(mode, count)| format!("{count} {mode}")).collect();
        shown.join(", ")
    }

    fn by_frequency(&self) -> Vec<(usize, usize)> {
        let mut sides: Vec<_> = self.sides.iter().map(|(&side, &count)| (side, count)).collect();
        sides.sort_by_key(|&(side, count)| (Reverse(count), side));
        sides
    }
}
