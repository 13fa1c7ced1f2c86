//! The symptoms of each failure. The thresholds come from runs: docs/diagnostics.md has the counts.

mod images;
mod oscillation;
mod players;

use super::verdict::Failure;
use super::vitals::{Baseline, Vitals};
use images::{memorisation, missing_modes, mode_collapse, non_convergence, range_mismatch};
use oscillation::{oscillating_images, oscillating_losses};
use players::{discriminator_frozen, discriminator_won, divergence, generator_frozen, vanishing_gradients};

/// Vitals and their step.
pub(crate) type Check = (u64, Vitals);

/// What the last check says of one failure.
pub(crate) struct Symptom {
    /// The numbers.
    pub(crate) evidence: String,
    /// The checks that they were taken from, the last among them.
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

/// The most checks that a symptom is taken from, but for that of a run that comes nowhere: that is all of it.
pub(crate) const WINDOW: usize = 12;
/// Checks before a run that comes nowhere is one.
pub(crate) const PATIENCE: usize = 16;

/// Steps between the looks that a rule counts; those in between it does not see. At a shorter distance a healthy run has no
/// time to show that it gets anywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Every look.
    Any,
    /// For what shows in the losses, and in single looks.
    Near,
    /// For what shows in how images change.
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

/// One failure's symptom.
pub(crate) struct Rule {
    pub(crate) failure: Failure,
    /// The looks that it is shown.
    pub(crate) spacing: Spacing,
    /// Checks in a row that must show it.
    pub(crate) checks: usize,
    /// What the last check says, if it says so.
    pub(crate) symptom: fn(&Baseline, &[Check]) -> Option<Symptom>,
    /// While one of these shows too, or did lately and was certain, it is that failure's doing.
    pub(crate) unless: &'static [Failure],
}

/// They leave nothing as it should be.
const ROOTS: &[Failure] = &[Failure::Divergence, Failure::GeneratorFrozen, Failure::DiscriminatorFrozen];
/// The same, and players that are no match.
const UNEQUAL: &[Failure] = &[
    Failure::Divergence,
    Failure::GeneratorFrozen,
    Failure::DiscriminatorFrozen,
    Failure::VanishingGradients,
    Failure::DiscriminatorWon,
];
/// The same, and images that are all alike.
const COLLAPSED: &[Failure] = &[
    Failure::Divergence,
    Failure::GeneratorFrozen,
    Failure::DiscriminatorFrozen,
    Failure::VanishingGradients,
    Failure::DiscriminatorWon,
    Failure::ModeCollapse,
];

/// The same, and what keeps images from coming nearer to the data.
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
