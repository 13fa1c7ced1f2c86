//! Pixel norm divides each pixel's channels by the root of their mean square (Karras et al. 2018,
//! arXiv 1710.10196, section 4.2).

use super::{Kind, SecondOrder, refuse};
use crate::chain::{Piece, Weights};
use crate::gradients::Gradients;
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Pushforward, Stage, Wanted};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub(super) struct PixelNorm;

impl Kind for PixelNorm {
    fn line(&self) -> String {
        "PixelNorm".to_owned()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        Some(input.to_vec())
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    /// Only generators use pixel norm, and penalties do not need the gradient of a generator.
    fn second_order(&self) -> SecondOrder {
        SecondOrder::Refused(format!("{} has no second order here", self.line()))
    }

    fn piece(&self, _: &mut Weights) -> Result<Piece> {
        Ok(Piece::Alone(Arc::new(*self)))
    }
}

impl Stage for PixelNorm {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        gan_ops::pixel_norm(x)
    }

    fn directional(&self, _: &Tensor, _: &Tensor, _: Draws) -> Result<(Tensor, Tensor)> {
        refuse(self)
    }

    fn is_served(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(*self))
    }
}

impl Kernel for PixelNorm {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        Ok(x.pixel_norm())
    }

    fn forward(&self, x: &Maps, _: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        Ok((x.pixel_norm(), Box::new(Back { x: x.clone() })))
    }
}

/// The input, which the backward pass needs.
#[derive(Debug)]
struct Back {
    x: Maps,
}

impl Pullback for Back {
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        _: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>> {
        match wanted {
            Wanted::Input => self.x.pixel_norm_gradient(&gradient).map(Some),
            Wanted::Nothing => Ok(None),
        }
    }

    fn slope<'a>(self: Box<Self>, _: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        refuse(&PixelNorm)
    }
}
