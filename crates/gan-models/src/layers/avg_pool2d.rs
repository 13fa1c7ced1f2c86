//! `nn.AvgPool2d(2)`: the mean of each square of 2x2 pixels.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::linear_map::LinearMap;
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Stage};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub(super) struct AvgPool2d;

impl Kind for AvgPool2d {
    fn line(&self) -> String {
        "AvgPool2d(2)".to_owned()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let &[channels, height, width] = input else { return None };
        let is_even = height.is_multiple_of(2) && width.is_multiple_of(2);
        is_even.then(|| vec![channels, height / 2, width / 2])
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

impl Stage for AvgPool2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        gan_ops::average_pool(x)
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, _: Draws) -> Result<(Tensor, Tensor)> {
        Ok((gan_ops::average_pool(x)?, gan_ops::average_pool(tangent)?))
    }

    fn is_served(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(*self))
    }
}

impl LinearMap for AvgPool2d {
    fn apply(&self, x: &Maps) -> Result<Maps> {
        x.reduce(0.25)
    }

    fn adjoint(&self, gradient: &Maps) -> Result<Maps> {
        gradient.enlarge(0.25)
    }
}
