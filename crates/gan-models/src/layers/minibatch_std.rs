//! Minibatch standard deviation: how much samples differ from each other, as one more channel of
//! each sample (Karras et al. 2018, arXiv 1710.10196, section 3).

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
pub(super) struct MinibatchStd {
    pub(super) group: usize,
}

impl Kind for MinibatchStd {
    fn line(&self) -> String {
        format!("MinibatchStd({})", self.group)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let (&channels, rest) = input.split_first()?;
        Some([&[channels + 1], rest].concat())
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        true
    }

    fn second_order(&self) -> SecondOrder {
        SecondOrder::coupled(&self.line())
    }

    fn piece(&self, _: &mut Weights) -> Result<Piece> {
        Ok(Piece::Alone(Arc::new(*self)))
    }
}

impl Stage for MinibatchStd {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        gan_ops::minibatch_std(x, self.group)
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

impl Kernel for MinibatchStd {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        Ok(x.with_deviation(self.group))
    }

    fn forward(&self, x: &Maps, _: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        Ok((x.with_deviation(self.group), Box::new(Back { kind: *self, x: x.clone() })))
    }
}

/// The input, which the backward pass needs.
#[derive(Debug)]
struct Back {
    kind: MinibatchStd,
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
            Wanted::Input => self.x.deviation_gradient(&gradient, self.kind.group).map(Some),
            Wanted::Nothing => Ok(None),
        }
    }

    fn slope<'a>(self: Box<Self>, _: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        refuse(&self.kind)
    }
}
