//! Settings that change during a run. They are functions of the number of real images seen so far,
//! so nothing is stored.

use crate::error::{Result, TrainError};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The change of a setting from its start value to another value. The start value is the setting
/// beside the schedule. Huang et al. 2024 (arXiv 2501.05441) change the rates, Adam's second beta,
/// the weight of R1 and R2 and the average's half life along a cosine in the first part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schedule {
    /// The value at the end of the schedule, and after it.
    pub to: f64,
    /// Length of the schedule in thousands of real images, without the warm-up.
    pub over_kimg: f64,
    /// The shape of the change.
    #[serde(default)]
    pub shape: Shape,
    /// Thousands of real images before the schedule. In them the value rises linearly from 0 to
    /// the start value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warm_up_kimg: f64,
}

/// The shape of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The same change for each image.
    Linear,
    /// Half a cosine, which is slow at both ends (Loshchilov and Hutter 2017, arXiv 1608.03983,
    /// equation 5, without restarts).
    #[default]
    Cosine,
}

/// The values that a setting may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Positive,
    NotNegative,
    /// From 0 up to 1, without 1.
    Decay,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.
}

impl Schedule {
    /// The value after `images` real images. `start` is the start value.
    #[must_use]
    pub fn at(&self, start: f64, images: u64) -> f64 {
        let (images, warm_up) = (images as f64, self.warm_up_kimg * 1000.);
        if images < warm_up {
            return start * images / warm_up;
        }
        let done = (images - warm_up) / (self.over_kimg * 1000.);
        if done >= 1. {
            // This makes it exact to the last bit.
            return self.to;
        }
        let left = match self.shape {
            Shape::Linear => 1. - done,
            Shape::Cosine => f64::midpoint(1., (PI * done).cos()),
        };
        self.to + (start - self.to) * left
    }

    pub(crate) fn validate(&self, field: &str, of_setting: Range) -> Result<()> {
        of_setting.check(&format!("{field}.to"), self.to)?;
        Range::Positive.check(&format!("{field}.over-kimg"), self.over_kimg)?;
        Range::NotNegative.check(&format!("{field}.warm-up-kimg"), self.warm_up_kimg)
    }
}

/// The value of a setting after `images` real images. It may have a schedule.
pub(crate) fn at(start: f64, schedule: Option<Schedule>, images: u64) -> f64 {
    schedule.map_or(start, |schedule| schedule.at(start, images))
}

impl Range {
    /// Refuses a value of `field` that is outside the range.
    pub(crate) fn check(self, field: &str, value: f64) -> Result<()> {
        let (is_in, expected) = match self {
            Self::Positive => (value > 0. && value.is_finite(), "a positive number"),
            Self::NotNegative => (value >= 0. && value.is_finite(), "0 or a positive number"),
            Self::Decay => ((0. ..1.).contains(&value), "a number from 0 up to but not 1"),
        };
        if is_in {
            return Ok(());
        }
        Err(TrainError::config(field, format!("expected {expected}, found {value}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} for {b}");
    }

    #[test]
    fn values_at_the_ends_and_in_between() {
        let cosine = Schedule { to: 0.2, over_kimg: 2., shape: Shape::Cosine, warm_up_kimg: 0. };
        let linear = Schedule { shape: Shape::Linear, ..cosine };
        for (images, by_cosine, by_line) in [
            (0, 1., 1.),
            (500, 0.2 + 0.8 * f64::midpoint(1., 0.5f64.sqrt()), 0.8),
            (1000, 0.6, 0.6),
            (1999, 0.2 + 0.4 * (1. - (PI / 2000.).cos()), 0.2004),
        ] {
            close(cosine.at(1., images), by_cosine);
            close(linear.at(1., images), by_line);
        }
        for images in [2000, 2001, u64::MAX] {
            let to_the_last_bit = |schedule: Schedule| schedule.at(1., images).to_bits() == 0.2f64.to_bits();
            assert!(to_the_last_bit(cosine) && to_the_last_bit(linear));
        }
        // It also works upwards.
        close(linear.at(0., 1000), 0.1);
    }

    #[test]
    fn a_warm_up_comes_before_the_way() {
        let schedule = Schedule { to: 0., over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0.5 };
        for (images, expected) in [(0, 0.), (250, 2.), (499, 3.992), (500, 4.), (1000, 2.), (1500, 0.)] {
            close(schedule.at(4., images), expected);
        }
    }

    #[test]
    fn every_bad_value_is_named_with_what_is_expected() {
        let good = Schedule { to: 0., over_kimg: 1., shape: Shape::Linear, warm_up_kimg: 0. };
        good.validate("x", Range::NotNegative).unwrap();
        let problem = |schedule: Schedule, range| schedule.validate("x", range).unwrap_err().to_string();
        assert_eq!(problem(good, Range::Positive), "x.to: expected a positive number, found 0");
        assert_eq!(
            problem(Schedule { to: 1., ..good }, Range::Decay),
            "x.to: expected a number from 0 up to but not 1, found 1"
        );
        let never = Schedule { over_kimg: 0., ..good };
        assert_eq!(problem(never, Range::Decay), "x.over-kimg: expected a positive number, found 0");
        let negative = Schedule { warm_up_kimg: -1., ..good };
        let expected = "x.warm-up-kimg: expected 0 or a positive number, found -1";
        assert_eq!(problem(negative, Range::NotNegative), expected);
        assert!(problem(Schedule { to: f64::NAN, ..good }, Range::NotNegative).ends_with("found NaN"));
    }
}
