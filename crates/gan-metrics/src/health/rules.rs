//! The symptoms of each failure. The thresholds come from training runs. docs/diagnostics.md
//! lists the counts.

mod images;
mod oscillation;
mod players;

use super::verdict::Failure;
use super::vitals::{Baseline, Vitals};
pub(crate) use images::FORMED;
use images::{memorisation, missing_modes, mode_collapse, non_convergence, range_mismatch};
use oscillation::{oscillating_images, oscillating_losses};
use players::{discriminator_frozen, discriminator_won, divergence, generator_frozen, vanishing_gradients};

/// The step of a health check and its measurements.
pub(crate) type Check = (u64, Vitals);

/// A sign of one failure in the last checks.
pub(crate) struct Symptom {
    /// The numbers that show it.
    pub(crate) evidence: String,
    /// Number of checks that it was taken from, including the last one.
    pub(crate) checks: usize,
}

impl Symptom {
    fn now(evidence: String) -> Self {
        Self::over(1, evidence)
    }

    fn over(checks: usize, evidence: String) -> Self {
        Self { evidence, checks }
    }
}

/// Largest number of checks that a symptom uses. The symptom of no convergence is the exception,
/// because it uses all checks.
pub(crate) const WINDOW: usize = 12;
/// Number of checks before a run can have the verdict no convergence.
pub(crate) const PATIENCE: usize = 16;

/// Distance in steps between the checks that a rule uses. The rule ignores the checks between
/// them. At a shorter distance a healthy run has no time to show progress.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Every check.
    Any,
    /// For symptoms in the losses, and in single checks.
    Near,
    /// For symptoms in the way images change.
    Far,
}

impl Spacing {
    pub(crate) const ALL: [Self; 3] = [Self::Any, Self::Near, Self::Far];

    pub(crate) fn steps(self) -> u64 {
        match self {
            Self::Any => 0,
            Self::Near => 100,
            Self::Far => 500,
        }
    }
}

/// The symptom of one failure, and when it becomes a verdict.
pub(crate) struct Rule {
    pub(crate) failure: Failure,
    /// Distance between the checks that the rule uses.
    pub(crate) spacing: Spacing,
    /// Number of checks in a row that must show the symptom.
    pub(crate) checks: usize,
    /// Looks for the symptom in the last checks.
    pub(crate) symptom: fn(&Baseline, &[Check]) -> Option<Symptom>,
    /// Failures that can explain the symptom. If one of them shows now, or is certain and showed
    /// recently, this rule reports nothing.
    pub(crate) unless: &'static [Failure],
}

/// With these failures, nothing else works as it should.
const ROOTS: &[Failure] = &[Failure::Divergence, Failure::GeneratorFrozen, Failure::DiscriminatorFrozen];
/// The failures of [`ROOTS`], and the failures in which the two players are too unequal.
const UNEQUAL: &[Failure] = &[
    Failure::Divergence,
    Failure::GeneratorFrozen,
    Failure::DiscriminatorFrozen,
    Failure::VanishingGradients,
    Failure::DiscriminatorWon,
];
/// The failures of [`UNEQUAL`], and the failure in which all images are alike.
const COLLAPSED: &[Failure] = &[
    Failure::Divergence,
    Failure::GeneratorFrozen,
    Failure::DiscriminatorFrozen,
    Failure::VanishingGradients,
    Failure::DiscriminatorWon,
    Failure::ModeCollapse,
];

/// The failures of [`COLLAPSED`], and failures that keep the images from coming nearer to the
/// data.
const NARROWED: &[Failure] = &[
    Failure::Divergence,
    Failure::GeneratorFrozen,
    Failure::DiscriminatorFrozen,
    Failure::VanishingGradients,
    Failure::DiscriminatorWon,
    Failure::ModeCollapse,
    Failure::MissingModes,
    Failure::Memorisation,
];

const fn rule(
    failure: Failure,
    spacing: Spacing,
    checks: usize,
    symptom: fn(&Baseline, &[Check]) -> Option<Symptom>,
    unless: &'static [Failure],
) -> Rule {
    Rule { failure, spacing, checks, symptom, unless }
}

pub(crate) const RULES: [Rule; 12] = [
    rule(Failure::RangeMismatch, Spacing::Any, 1, range_mismatch, &[]),
    rule(Failure::Divergence, Spacing::Any, 2, divergence, &[]),
    rule(Failure::GeneratorFrozen, Spacing::Any, 2, generator_frozen, &[Failure::Divergence]),
    rule(Failure::DiscriminatorFrozen, Spacing::Any, 2, discriminator_frozen, &[Failure::Divergence]),
    rule(Failure::VanishingGradients, Spacing::Near, 3, vanishing_gradients, ROOTS),
    rule(Failure::DiscriminatorWon, Spacing::Near, 4, discriminator_won, ROOTS),
    rule(Failure::ModeCollapse, Spacing::Near, 3, mode_collapse, ROOTS),
    rule(Failure::MissingModes, Spacing::Far, 1, missing_modes, COLLAPSED),
    rule(Failure::NonConvergence, Spacing::Far, 1, non_convergence, NARROWED),
    rule(Failure::Oscillation, Spacing::Near, 1, oscillating_losses, UNEQUAL),
    rule(Failure::Oscillation, Spacing::Far, 1, oscillating_images, UNEQUAL),
    rule(Failure::Memorisation, Spacing::Near, 2, memorisation, ROOTS),
];
