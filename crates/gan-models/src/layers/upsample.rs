//! `nn.Upsample(scale_factor=2)`: nearest neighbours. Each pixel becomes 2x2 pixels.

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
pub(super) struct Upsample;

impl Kind for Upsample {
    fn line(&self) -> String {
        "Upsample(2)".to_owned()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let &[channels, height, width] = input else { return None };
        Some(vec![channels, 2 * height, 2 * width])
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

impl Stage for Upsample {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        gan_ops::upsample(x)
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, _: Draws) -> Result<(Tensor, Tensor)> {
        Ok((gan_ops::upsample(x)?, gan_ops::upsample(tangent)?))
    }

    fn is_served(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(*self))
    }
}

impl LinearMap for Upsample {
    fn apply(&self, x: &Maps) -> Result<Maps> {
        x.enlarge(1.)
    }

    fn adjoint(&self, gradient: &Maps) -> Result<Maps> {
        gradient.reduce(1.)
    }
}
