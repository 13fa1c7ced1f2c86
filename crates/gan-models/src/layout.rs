//! The trained parameters of a network as one flat slice with names. Weights, gradients and
//! moments are matched by it.

use crate::error::{ModelError, Result};
use crate::params::Parameter;
use std::ops::Range;
use std::sync::Arc;

/// Names, shapes and places of a network's trained parameters, in the order of its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Arc<[Entry]>);

/// One parameter and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Entry {
    /// The parameter's name, such as `model.0.weight`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameter's shape. Its elements are in row-major order.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The places of the parameter's elements in the flat slice.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

impl Layout {
    pub(crate) fn new<'p>(parameters: impl Iterator<Item = &'p Parameter>) -> Self {
        let mut start = 0;
        let entry = |parameter: &Parameter| {
            let range = start..start + parameter.count();
            start = range.end;
            Entry { name: parameter.name().to_owned(), shape: parameter.shape().to_vec(), range }
        };
        Self(parameters.map(entry).collect())
    }

    /// Every parameter, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Number of parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no trained parameters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of scalars, which is the length of the flat slice.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.last().map_or(0, |last| last.range.end)
    }

    /// The position of the parameter with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|entry| entry.name == name)
    }

    /// The parameter at this position.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&Entry> {
        self.0.get(position)
    }

    /// Refuses gradients, moments or weights of another network.
    ///
    /// # Errors
    /// The name and shape of the first parameter that differs.
    pub fn check_same(&self, other: &Self) -> Result<()> {
        if Arc::ptr_eq(&self.0, &other.0) || self == other {
            return Ok(());
        }
        let text = |entry: Option<&Entry>| match entry {
            Some(Entry { name, shape, .. }) => format!("{name} {shape:?}"),
            None => "nothing".to_owned(),
        };
        let differs = (0..self.len().max(other.len())).find(|&i| self.get(i) != other.get(i));
        let [expected, found] = [self, other].map(|layout| text(differs.and_then(|i| layout.get(i))));
        Err(ModelError::Weights(format!("parameters of another network: expected {expected}, found {found}")))
    }

    pub(crate) fn check(&self, flat: &[f32]) -> Result<()> {
        if flat.len() == self.count() {
            return Ok(());
        }
        let problem = format!("expected a slice of {} scalars, found {}", self.count(), flat.len());
        Err(ModelError::Weights(problem))
    }
}
