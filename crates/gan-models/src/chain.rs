//! Layers that are applied one after the other: which of them fuse, and the same chain in each
//! form that training needs.

use crate::fused::{Fused, Multiplier, Normaliser};
use crate::gradients::Gradients;
use crate::layers::{Layer, Spectral};
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Pushforward, Stage, Wanted};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;
use gan_ops::{Activation, AllReduce};
use std::sync::Arc;

/// What a layer can fuse with.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// A product with weights. It takes a batch norm and an activation that follow into its
    /// stage.
    Product(Multiplier),
    /// A batch norm. It takes an activation that follows into its stage.
    Norm(Normaliser),
    Activation(Activation),
    /// A stage that fuses with nothing.
    Alone(Arc<dyn Stage>),
}

/// The stage at the start of `pieces`, and how many pieces it takes. `None` if there are no
/// pieces.
fn fuse(pieces: &[Piece]) -> Option<(Arc<dyn Stage>, usize)> {
    use Activation::Identity;
    use Piece::{Activation as Act, Alone, Norm, Product};
    Some(match pieces {
        [] => return None,
        [Product(product), Norm(norm), Act(activation), ..] => {
            (Fused::stage(Some(product), Some(norm), *activation), 3)
        }
        [Product(product), Norm(norm), ..] => (Fused::stage(Some(product), Some(norm), Identity), 2),
        [Product(product), Act(activation), ..] => (Fused::stage(Some(product), None, *activation), 2),
        [Product(product), ..] => (Fused::stage(Some(product), None, Identity), 1),
        [Norm(norm), Act(activation), ..] => (Fused::stage(None, Some(norm), *activation), 2),
        [Norm(norm), ..] => (Fused::stage(None, Some(norm), Identity), 1),
        [Act(activation), ..] => (Fused::stage(None, None, *activation), 1),
        [Alone(stage), ..] => (Arc::clone(stage), 1),
    })
}

/// The parameters of `layers`. The name of each is `prefix`, the layer's position and the
/// parameter's own name: `prefix.0.weight`.
pub(crate) fn parameters(prefix: &str, layers: &[Layer]) -> Vec<Parameter> {
    let of_layer = |(position, layer): (usize, &Layer)| {
        layer.kind().parameters().into_iter().map(move |p| p.below(&position.to_string()).below(prefix))
    };
    layers.iter().enumerate().flat_map(of_layer).collect()
}

/// Hands out the tensors of a network in the order of [`parameters`], and knows the place of the
/// layer that takes them.
pub(crate) struct Weights {
    /// The tensors with their full names, such as `model.3.weight`.
    tensors: std::vec::IntoIter<(String, Tensor)>,
    place: String,
    /// The singular vectors of every spectral norm so far.
    spectral: Vec<Spectral>,
    ranks: Option<Arc<dyn AllReduce>>,
}

impl Weights {
    /// `ranks` are those over whose samples batch norm computes its statistics together.
    pub(crate) fn new(
        place: &str,
        tensors: Vec<(String, Tensor)>,
        ranks: Option<Arc<dyn AllReduce>>,
    ) -> Self {
        Self { tensors: tensors.into_iter(), place: place.to_owned(), spectral: vec![], ranks }
    }

    pub(crate) fn ranks(&self) -> Option<Arc<dyn AllReduce>> {
        self.ranks.clone()
    }

    /// Takes the next `N` tensors.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[Tensor; N]> {
        let taken: Vec<_> = self.tensors.by_ref().take(N).map(|(_, tensor)| tensor).collect();
        taken.try_into().map_err(|_| fewer())
    }

    /// The full name of the next tensor. A stage's sums of gradients are found by the name of its
    /// first parameter.
    pub(crate) fn next_name(&self) -> Result<String> {
        self.tensors.as_slice().first().map(|(name, _)| name.clone()).ok_or_else(fewer)
    }

    /// Calls `build` with `tensor` as the next tensor, before the others.
    pub(crate) fn with<T>(&mut self, name: String, tensor: Tensor, build: impl FnOnce(&mut Self) -> T) -> T {
        let rest: Vec<_> = std::iter::once((name, tensor)).chain(self.tensors.by_ref()).collect();
        self.tensors = rest.into_iter();
        build(self)
    }

    /// The layer's place, such as `model.3`.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Calls `build` with the place `name` below the present place.
    pub(crate) fn at<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let below = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        let place = std::mem::replace(&mut self.place, below);
        let built = build(self);
        self.place = place;
        built
    }

    pub(crate) fn note(&mut self, spectral: &Spectral) {
        self.spectral.push(spectral.clone());
    }

    pub(crate) fn into_spectral(self) -> Vec<Spectral> {
        self.spectral
    }
}

fn fewer() -> candle_core::Error {
    candle_core::Error::Msg("fewer tensors than parameters".into())
}

/// Checks that a layer took one tensor for each of its parameters. The next layer would take the
/// rest as its own weights.
fn all_taken(layer: &Layer, parameters: usize, taken: usize) -> Result<()> {
    if taken != parameters {
        candle_core::bail!("{layer} has {parameters} parameters and took {taken} tensors")
    }
    Ok(())
}

/// Stages one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Chain(Vec<Link>);

#[derive(Debug, Clone)]
struct Link {
    /// Position of the stage's first layer.
    position: usize,
    /// Whether the stage has weights.
    is_trained: bool,
    stage: Arc<dyn Stage>,
}

impl Chain {
    /// Takes the tensors of `layers` from `weights`.
    pub(crate) fn new(layers: &[Layer], weights: &mut Weights) -> Result<Self> {
        let mut pieces = vec![];
        for (position, layer) in layers.iter().enumerate() {
            let (kind, before) = (layer.kind(), weights.tensors.len());
            pieces.push(weights.at(&position.to_string(), |weights| kind.piece(weights))?);
            all_taken(layer, kind.parameters().len(), before - weights.tensors.len())?;
        }
        let (mut links, mut position) = (vec![], 0);
        while let Some((stage, taken)) = fuse(&pieces[position..]) {
            let is_trained = layers[position..][..taken].iter().any(|layer| layer.parameters() > 0);
            links.push(Link { position, is_trained, stage });
            position += taken;
        }
        Ok(Self(links))
    }

    /// Whether any stage has weights.
    pub(crate) fn is_trained(&self) -> bool {
        self.0.iter().any(|link| link.is_trained)
    }

    pub(crate) fn stages(&self) -> impl Iterator<Item = &dyn Stage> {
        self.0.iter().map(|link| &*link.stage)
    }

    /// The stages before the layer at `position`, and the stages from there on.
    ///
    /// # Errors
    /// A layer that is not the first of a stage.
    pub(crate) fn split_at(&self, position: usize) -> Result<(Self, Self)> {
        match self.0.iter().position(|link| link.position == position) {
            Some(at) => Ok((Self(self.0[..at].to_vec()), Self(self.0[at..].to_vec()))),
            None => candle_core::bail!("no stage of the network begins with layer {position}"),
        }
    }
}

impl Stage for Chain {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.stages().try_fold(x.clone(), |x, stage| stage.forward(&x, mode))
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)> {
        let start = (x.clone(), tangent.clone());
        self.stages().try_fold(start, |(x, tangent), stage| stage.directional(&x, &tangent, draws))
    }

    fn is_served(&self) -> bool {
        self.stages().all(Stage::is_served)
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        let kernels = self.stages().map(Stage::prepare).collect::<Result<_>>()?;
        let first_trained = self.0.iter().position(|link| link.is_trained).unwrap_or(self.0.len());
        Ok(Box::new(PreparedChain { kernels, first_trained }))
    }
}

#[derive(Debug)]
struct PreparedChain {
    kernels: Vec<Box<dyn Kernel>>,
    /// Position of the first kernel with weights. The kernels below it need no gradient of their
    /// input, unless the caller wants the gradient of the network's input.
    first_trained: usize,
}

impl Kernel for PreparedChain {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        self.kernels.iter().try_fold(x, |x, kernel| kernel.evaluate(x))
    }

    fn forward(&self, x: &Maps, draws: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        let (mut x, mut steps) = (x.clone(), vec![]);
        for kernel in &self.kernels {
            let (y, step) = kernel.forward(&x, draws)?;
            steps.push(step);
            x = y;
        }
        Ok((x, Box::new(ChainPullback { steps, first_trained: self.first_trained })))
    }
}

#[derive(Debug)]
struct ChainPullback<'k> {
    steps: Vec<Box<dyn Pullback + 'k>>,
    first_trained: usize,
}

impl Pullback for ChainPullback<'_> {
    fn backward(
        self: Box<Self>,
        mut gradient: Maps,
        mut sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>> {
        for (i, step) in self.steps.into_iter().enumerate().rev() {
            let below = if i > self.first_trained { Wanted::Input } else { wanted };
            match step.backward(gradient, sums.as_deref_mut(), below)? {
                Some(of_input) => gradient = of_input,
                None => return Ok(None),
            }
        }
        Ok(match wanted {
            Wanted::Input => Some(gradient),
            Wanted::Nothing => None,
        })
    }

    fn slope<'a>(self: Box<Self>, mut gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a,
    {
        let mut ways = vec![];
        for step in self.steps.into_iter().rev() {
            let (below, way) = step.slope(gradient)?;
            ways.push(way);
            gradient = below;
        }
        ways.reverse();
        Ok((gradient, Box::new(ChainPushforward(ways))))
    }
}

#[derive(Debug)]
struct ChainPushforward<'k>(Vec<Box<dyn Pushforward + 'k>>);

impl Pushforward for ChainPushforward<'_> {
    fn tangent(&self, tangent: Maps, factors: Option<&[f32]>, sums: &mut Gradients) -> Result<Maps> {
        self.0.iter().try_fold(tangent, |tangent, way| way.tangent(tangent, factors, sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_takes_a_tensor_for_each_of_its_parameters() {
        assert!(all_taken(&Layer::Tanh, 2, 2).is_ok());
        for taken in [1, 3] {
            let problem = all_taken(&Layer::Tanh, 2, taken).unwrap_err().to_string();
            assert!(
                problem.starts_with(&format!("Tanh has 2 parameters and took {taken} tensors")),
                "{problem}"
            );
        }
    }
}
