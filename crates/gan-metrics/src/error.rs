//! What can go wrong with a metric.

use gan_models::ModelError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Numbers that a metric cannot take: too few, of another shape, not finite.
    #[error("{what}: expected {expected}, found {found}")]
    Input {
        /// The argument.
        what: &'static str,
        /// What would do.
        expected: String,
        /// What was given.
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
    /// An argument that cannot be used.
    pub(crate) fn input(
        what: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Input { what, expected: expected.into(), found: found.to_string() }
    }
}
