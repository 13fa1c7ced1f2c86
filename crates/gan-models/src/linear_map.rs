//! Stages without weights that are linear maps of each sample. Their backward pass is the adjoint
//! map, and their derivative is the map itself.

use crate::gradients::Gradients;
use crate::mode::Draws;
use crate::stage::{Kernel, Pullback, Pushforward, Wanted};
use candle_core::Result;
use gan_ops::fused::Maps;

/// A linear map for inputs of one shape.
pub(crate) trait LinearMap: std::fmt::Debug {
    fn apply(&self, x: &Maps) -> Result<Maps>;

    /// Computes the gradient of the input from the gradient of the output.
    fn adjoint(&self, gradient: &Maps) -> Result<Maps>;
}

/// The backward pass of one pass through a linear map, and the map's derivative.
#[derive(Debug)]
pub(crate) struct Through<M>(pub(crate) M);

impl<M: LinearMap> Pullback for Through<M> {
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        _: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>> {
        match wanted {
            Wanted::Input => self.0.adjoint(&gradient).map(Some),
            Wanted::Nothing => Ok(None),
        }
    }

    fn slope<'a>(self: Box<Self>, gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        Ok((self.0.adjoint(&gradient)?, self))
    }
}

impl<M: LinearMap> Pushforward for Through<M> {
    fn tangent(&self, tangent: Maps, _: Option<&[f32]>, _: &mut Gradients) -> Result<Maps> {
        self.0.apply(&tangent)
    }
}

/// A map without state: it is the same for every batch, in training and in evaluation.
impl<M: LinearMap + Copy + 'static> Kernel for M {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        self.apply(&x)
    }

    fn forward(&self, x: &Maps, _: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        Ok((self.apply(x)?, Box::new(Through(*self))))
    }
}
