//! The Hugging Face hub, from which builds with feature `hub` load what candle-datasets knows.

#[cfg(feature = "hub")]
mod candle;

#[cfg(not(feature = "hub"))]
use crate::sources::Descriptor;
#[cfg(not(feature = "hub"))]
use crate::{DataError, Dataset, Result, Split};

#[cfg(feature = "hub")]
pub(crate) use candle::load;

/// What there is to load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Repository {
    Mnist,
    FashionMnist,
}

/// Refuses, as this build cannot.
#[cfg(not(feature = "hub"))]
pub(crate) fn load(set: &Descriptor, _: Repository, _: Split) -> Result<Dataset> {
    Err(DataError::NoHub { name: set.name })
}
