//! The symptoms of each failure. The thresholds come from runs: docs/diagnostics.md has the counts.

mod images;
mod oscillation;
mod players;

use super::verdict::Failure;
use super::vitals::{Baseline, Vitals};
use images::{memorisation, missing_modes, mode_collapse, non_convergence, range_mismatch};
use oscillation::oscillation;
use players::{discriminator_frozen, discriminator_won, divergence, generator_frozen, vanishing_gradients};

/// Vitals and their step.
pub(crate) type Check = (u64, Vitals);

/// One failure's symptom.
pub(crate) struct Rule {
    pub(crate) failure: Failure,
    /// Checks in a row that must show it.
    pub(crate) checks: usize,
    /// What the last check says, if it says so.
    pub(crate) symptom: fn(&Baseline, &[Check]) -> Option<String>,
    /// While one of these shows too, it is that failure's doing.
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

pub(crate) const RULES: [Rule; 11] = [
    Rule { failure: Failure::RangeMismatch, checks: 1, symptom: range_mismatch, unless: &[] },
    Rule { failure: Failure::Divergence, checks: 2, symptom: divergence, unless: &[] },
    Rule {
        failure: Failure::GeneratorFrozen,
        checks: 2,
        symptom: generator_frozen,
        unless: &[Failure::Divergence],
    },
    Rule {
        failure: Failure::DiscriminatorFrozen,
        checks: 2,
        symptom: discriminator_frozen,
        unless: &[Failure::Divergence],
    },
    Rule { failure: Failure::VanishingGradients, checks: 3, symptom: vanishing_gradients, unless: ROOTS },
    Rule { failure: Failure::DiscriminatorWon, checks: 4, symptom: discriminator_won, unless: ROOTS },
    Rule { failure: Failure::ModeCollapse, checks: 3, symptom: mode_collapse, unless: ROOTS },
    Rule { failure: Failure::MissingModes, checks: 1, symptom: missing_modes, unless: COLLAPSED },
    Rule { failure: Failure::NonConvergence, checks: 1, symptom: non_convergence, unless: COLLAPSED },
    Rule { failure: Failure::Oscillation, checks: 1, symptom: oscillation, unless: UNEQUAL },
    Rule { failure: Failure::Memorisation, checks: 2, symptom: memorisation, unless: ROOTS },
];
