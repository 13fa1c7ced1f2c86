//! A residual block: the sum of a body and a shortcut (He et al. 2016, arXiv 1512.03385).

use super::{Kind, Layer, SecondOrder, output_shape};
use crate::chain::{Chain, Piece, Weights, parameters};
use crate::gradients::Gradients;
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Pushforward, Stage, Wanted};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;
use std::sync::Arc;

pub(super) struct Residual<'l> {
    pub(super) body: &'l [Layer],
    pub(super) shortcut: &'l [Layer],
}

/// A body and a shortcut, in one of the forms that training needs.
#[derive(Debug)]
struct Sum<T> {
    body: T,
    shortcut: T,
}

impl Residual<'_> {
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.body.iter().chain(self.shortcut)
    }
}

impl Kind for Residual<'_> {
    fn line(&self) -> String {
        let list = |layers: &[Layer]| layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.shortcut {
            [] => format!("Residual({})", list(self.body)),
            shortcut => format!("Residual({}; shortcut: {})", list(self.body), list(shortcut)),
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        [parameters("body", self.body), parameters("shortcut", self.shortcut)].concat()
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let [y, other] = [self.body, self.shortcut].map(|layers| output_shape(layers, input));
        if y == other { y } else { None }
    }

    fn multiplications(&self, input: &[usize], _: &[usize]) -> Vec<usize> {
        let mut all = vec![];
        for layers in [self.body, self.shortcut] {
            let mut shape = input.to_vec();
            for layer in layers {
                all.extend(layer.multiplications(&shape));
                shape = layer.output_shape(&shape).unwrap_or_default();
            }
        }
        all
    }

    fn couples_samples(&self) -> bool {
        self.layers().any(Layer::couples_samples)
    }

    fn second_order(&self) -> SecondOrder {
        self.layers().find_map(Layer::refuses_penalties).map_or(SecondOrder::Exact, SecondOrder::Refused)
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        let body = weights.at("body", |weights| Chain::new(self.body, weights))?;
        let shortcut = weights.at("shortcut", |weights| Chain::new(self.shortcut, weights))?;
        Ok(Piece::Alone(Arc::new(Sum { body, shortcut })))
    }
}

impl Stage for Sum<Chain> {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.body.forward(x, mode)? + self.shortcut.forward(x, mode)?
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)> {
        let (y, moved) = self.body.directional(x, tangent, draws)?;
        let (other, moved_too) = self.shortcut.directional(x, tangent, draws)?;
        Ok(((y + other)?, (moved + moved_too)?))
    }

    fn is_served(&self) -> bool {
        self.body.is_served() && self.shortcut.is_served()
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Sum { body: self.body.prepare()?, shortcut: self.shortcut.prepare()? }))
    }
}

impl Kernel for Sum<Box<dyn Kernel>> {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        self.body.evaluate(x.clone())?.plus(&self.shortcut.evaluate(x)?)
    }

    fn forward(&self, x: &Maps, draws: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        let (y, body) = self.body.forward(x, draws)?;
        let (other, shortcut) = self.shortcut.forward(x, draws)?;
        Ok((y.plus(&other)?, Box::new(Sum { body, shortcut })))
    }
}

impl Pullback for Sum<Box<dyn Pullback + '_>> {
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        mut sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>> {
        let below = self.body.backward(gradient.clone(), sums.as_deref_mut(), wanted)?;
        let other = self.shortcut.backward(gradient, sums, wanted)?;
        below.zip(other).map(|(below, other)| below.plus(&other)).transpose()
    }

    fn slope<'a>(self: Box<Self>, gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        let (below, body) = self.body.slope(gradient.clone())?;
        let (other, shortcut) = self.shortcut.slope(gradient)?;
        Ok((below.plus(&other)?, Box::new(Sum { body, shortcut })))
    }
}

impl Pushforward for Sum<Box<dyn Pushforward + '_>> {
    fn tangent(&self, tangent: Maps, factors: Option<&[f32]>, sums: &mut Gradients) -> Result<Maps> {
        let moved = self.body.tangent(tangent.clone(), factors, sums)?;
        moved.plus(&self.shortcut.tangent(tangent, factors, sums)?)
    }
}
