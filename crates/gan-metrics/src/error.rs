//! The errors of the metrics.

use gan_models::ModelError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// An argument that a metric cannot use: too few numbers, another shape, or numbers that are
    /// not finite.
    #[error("{what}: expected {expected}, found {found}")]
    Input {
        /// Name of the argument.
        what: &'static str,
        /// The values that would be accepted.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// An error of a model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T, E = MetricsError> = std::result::Result<T, E>;

impl MetricsError {
    /// Makes the error for an argument that cannot be used.
    pub(crate) fn input(
        what: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Input { what, expected: expected.into(), found: found.to_string() }
    }
}
