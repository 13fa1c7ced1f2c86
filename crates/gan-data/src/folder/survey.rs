//! The shapes of a folder's pictures, without decoding them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::{Picture, all, find};
use crate::Result;

/// Number of sizes that [`Survey::mixture`] names.
const SIZES: usize = 4;

/// How many pictures of a folder have which shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Number of pictures for each length of the shorter side.
    sides: BTreeMap<usize, usize>,
    gray: usize,
    colored: usize,
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
    let shape = |path| Picture::open(path).map(|picture| (picture.side(), picture.has_color()));
    let shapes = all(dir, &found, found.pictures.par_iter().map(|path| shape(path)).collect())?;
    let mut survey = Survey { sides: BTreeMap::new(), gray: 0, colored: 0 };
    for (side, has_color) in shapes {
        *survey.sides.entry(side).or_default() += 1;
        *if has_color { &mut survey.colored } else { &mut survey.gray } += 1;
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

    fn by_frequency(&self) -> Vec<(usize, usize)> {
        let mut sides: Vec<_> = self.sides.iter().map(|(&side, &count)| (side, count)).collect();
        sides.sort_by_key(|&(side, count)| (Reverse(count), side));
        sides
    }
}
