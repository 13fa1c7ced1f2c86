//! The ways in which a run can fail, their usual causes, and what to try.

use serde::{Deserialize, Serialize};

/// A way in which training a GAN fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The generator draws nearly the same image from every latent.
    ModeCollapse,
    /// The generator leaves out classes that the data have.
    MissingModes,
    /// The discriminator recognises every fake, and the generator no longer catches up.
    DiscriminatorWon,
    /// The discriminator is sure, and the generator's gradient is almost zero.
    VanishingGradients,
    /// The generator's weights do not move.
    GeneratorFrozen,
    /// The discriminator's weights do not move.
    DiscriminatorFrozen,
    /// The images do not come nearer to the data.
    NonConvergence,
    /// The images come nearer to the data and go away again, over and over.
    Oscillation,
    /// Weights, logits or activations grow without bound.
    Divergence,
    /// The data are outside the range of the generator's pixels.
    RangeMismatch,
    /// The images are copies of training images.
    Memorisation,
}

/// A failure of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The failure.
    pub failure: Failure,
    /// The first step at which it showed.
    pub since: u64,
    /// The step at which it was certain.
    pub step: u64,
    /// The numbers that show it.
    pub evidence: String,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 11] = [
        Self::RangeMismatch,
        Self::Divergence,
        Self::GeneratorFrozen,
        Self::DiscriminatorFrozen,
        Self::DiscriminatorWon,
        Self::VanishingGradients,
        Self::ModeCollapse,
        Self::MissingModes,
        Self::NonConvergence,
        Self::Oscillation,
        Self::Memorisation,
    ];

    /// The failure's name in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ModeCollapse => "mode collapse",
            Self::MissingModes => "partial mode collapse",
            Self::DiscriminatorWon => "the discriminator has won",
            Self::VanishingGradients => "vanishing gradients",
            Self::GeneratorFrozen => "the generator is frozen",
            Self::DiscriminatorFrozen => "the discriminator is frozen",
            Self::NonConvergence => "no convergence",
            Self::Oscillation => "oscillation",
            Self::Divergence => "divergence",
            Self::RangeMismatch => "range mismatch",
            Self::Memorisation => "memorisation",
        }
    }

    /// Whether lower learning rates can help.
    #[must_use]
    pub fn lower_lr_may_help(self) -> bool {
        match self {
            Self::ModeCollapse
            | Self::MissingModes
            | Self::DiscriminatorWon
            | Self::VanishingGradients
            | Self::Oscillation
            | Self::Divergence => true,
            Self::GeneratorFrozen
            | Self::DiscriminatorFrozen
            | Self::NonConvergence
            | Self::RangeMismatch
            | Self::Memorisation => false,
        }
    }

    /// The usual cause.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::ModeCollapse | Self::MissingModes => {
                "the generator moves to whatever fools the discriminator at the moment, which nothing \
                 holds against it where the discriminator sees one image at a time and its gradient is \
                 not penalised"
            }
            Self::DiscriminatorWon => {
                "the discriminator learns faster than the generator: too large, too high an lr, or too \
                 few images"
            }
            Self::VanishingGradients => {
                "a sure discriminator is flat where the fakes are; with the minimax loss nothing \
                 reaches the generator then"
            }
            Self::GeneratorFrozen | Self::DiscriminatorFrozen => {
                "an lr that is next to nothing, or units that are all dead"
            }
            Self::NonConvergence => {
                "too low an lr, too small a generator, or a discriminator that teaches nothing"
            }
            Self::Oscillation => {
                "both players overshoot: too high an lr, or too much momentum (the first of betas)"
            }
            Self::Divergence => "too high an lr",
            Self::RangeMismatch => {
                "pixels in [0, 1] against a generator whose Tanh gives [-1, 1]: the discriminator needs \
                 only to look for a value below 0"
            }
            Self::Memorisation => {
                "too few training images for the size of the networks, or too many passes over them"
            }
        }
    }
}

impl Verdict {
    /// One line: the failure, the step at which it began, the numbers, the usual cause, and what to try.
    #[must_use]
    pub fn said(&self, advice: &str) -> String {
        let Self { failure, since, evidence, .. } = self;
        let (name, cause) = (failure.name(), failure.cause());
        format!("{name} since step {since}: {evidence}. Usual cause: {cause}. Try: {advice}")
    }
}

/// Writes [`Verdict::said`] with all remedies.
impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said(&self.failure.advice(|_| false)))
    }
}
