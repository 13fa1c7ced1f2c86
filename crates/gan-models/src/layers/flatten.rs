//! `nn.Flatten`: makes one vector of a sample's channels, rows and columns.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::linear_map::{LinearMap, Through};
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Stage};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub(super) struct Flatten;

impl Kind for Flatten {
    fn line(&self) -> String {
        "Flatten".to_owned()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        Some(vec![input.iter().product()])
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, _: &mut Weights) -> Result<Piece> {
        Ok(Piece::Alone(Arc::new(*self)))
    }
}

impl Stage for Flatten {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        x.flatten_from(1)
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, _: Draws) -> Result<(Tensor, Tensor)> {
        Ok((x.flatten_from(1)?, tangent.flatten_from(1)?))
    }

    fn is_served(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(*self))
    }
}

impl Kernel for Flatten {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        View::of(&x).apply(&x)
    }

    fn forward(&self, x: &Maps, _: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        let view = View::of(x);
        Ok((view.apply(x)?, Box::new(Through(view))))
    }
}

/// The same elements in another shape.
#[derive(Debug)]
struct View {
    from: [usize; 3],
    to: [usize; 3],
}

impl View {
    fn of(x: &Maps) -> Self {
        Self { from: x.image(), to: [x.image().iter().product(), 1, 1] }
    }
}

impl LinearMap for View {
    fn apply(&self, x: &Maps) -> Result<Maps> {
        x.reshape(self.to)
    }

    fn adjoint(&self, gradient: &Maps) -> Result<Maps> {
        gradient.reshape(self.from)
    }
}
