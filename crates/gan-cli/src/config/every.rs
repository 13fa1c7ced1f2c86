//! How often something happens in a run.

use serde::{Deserialize, Serialize};

/// Number of steps between two occurrences. 0 means never before the end of the run. Each user of
/// this type decides what happens at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Every(u64);

impl Every {
    /// Every `steps` steps.
    pub(crate) const fn steps(steps: u64) -> Self {
        Self(steps)
    }

    /// The smallest number of steps that uses at least `kimg` thousand images.
    pub(crate) fn kimg(kimg: u64, images_per_step: usize) -> Self {
        Self((kimg * 1000).div_ceil(images_per_step as u64))
    }

    /// Whether it never happens before the end of the run.
    pub(crate) fn is_never(self) -> bool {
        self.0 == 0
    }

    /// Whether it happens after `step` steps.
    pub(crate) fn falls_on(self, step: u64) -> bool {
        self.0 != 0 && step.is_multiple_of(self.0)
    }

    /// Whether it has happened at least once in `step` steps.
    pub(crate) fn has_come_by(self, step: u64) -> bool {
        self.0 != 0 && step >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_never_and_images_are_rounded_up_to_steps() {
        let fall = |every: Every| (1..=9).filter(|&step| every.falls_on(step)).collect::<Vec<u64>>();
        assert_eq!(fall(Every::steps(3)), [3, 6, 9]);
        assert_eq!(fall(Every::steps(0)), [0; 0]);
        assert!(Every::steps(0).is_never() && !Every::steps(1).is_never());
        assert!(
            !Every::steps(0).has_come_by(9)
                && Every::steps(9).has_come_by(9)
                && !Every::steps(9).has_come_by(8)
        );
        // 63 steps of 16 images are 1008.
        assert_eq!(Every::kimg(1, 16), Every::steps(63));
        assert_eq!(Every::kimg(2, 1000), Every::steps(2));
        assert!(Every::kimg(0, 16).is_never());
    }
}
