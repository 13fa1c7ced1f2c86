//! Loads data sets from the Hugging Face hub, with candle-datasets. Only builds with the feature
//! `hub` can.

#[cfg(feature = "hub")]
mod candle;

#[cfg(not(feature = "hub"))]
use crate::sources::Descriptor;
#[cfg(not(feature = "hub"))]
use crate::{DataError, Dataset, Result, Split};

#[cfg(feature = "hub")]
pub(crate) use candle::load;

/// The data sets that can be loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Repository {
    Mnist,
    FashionMnist,
}

/// Returns an error, because this build has no hub support.
#[cfg(not(feature = "hub"))]
pub(crate) fn load(set: &Descriptor, _: Repository, _: Split) -> Result<Dataset> {
    Err(DataError::NoHub { name: set.name })
}
