//! What a network computes at once, in the forms that training takes: a [`Stage`] on candle's tape, a [`Kernel`] with its weights in
//! the order of the CPU's kernels, and what one forward pass leaves: its [`Pullback`] and, for penalties, its [`Pushforward`].
//!
//! A forward pass returns its own way back, so that what it keeps and what the backward pass needs are one value.

use crate::gradients::Gradients;
use crate::mode::{Draws, Mode};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;

/// One or more layers with their weights, on candle's tape.
pub(crate) trait Stage: std::fmt::Debug + Send + Sync {
    /// The result on candle's tape, which is the definition, and what GPUs run.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor>;

    /// In training, the result, and how it moves where `x` moves by `tangent`: the derivative in that direction. Its own gradient
    /// with respect to the weights is what a penalty needs, so it is on the tape too.
    ///
    /// # Errors
    /// A stage without an exact second order.
    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)>;

    /// Whether the kernels serve it: see [`gan_ops::fused::serves`].
    fn is_served(&self) -> bool;

    /// Its weights of this moment in the kernels' order.
    fn prepare(&self) -> Result<Box<dyn Kernel>>;
}

/// A stage with the weights of one moment, off the tape.
pub(crate) trait Kernel: std::fmt::Debug {
    /// The result in evaluation; nothing is kept.
    fn evaluate(&self, x: Maps) -> Result<Maps>;

    /// The result in training, and the way back from it.
    fn forward(&self, x: &Maps, draws: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)>;
}

/// The way back of one forward pass: a vector-Jacobian product.
pub(crate) trait Pullback: std::fmt::Debug {
    /// From the gradient of the output: adds those of the weights to `sums`, if given, and returns that of the input if it is
    /// wanted.
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>>;

    /// From the gradient of the output, that of the input, and how that depends on the weights.
    ///
    /// # Errors
    /// A stage without an exact second order.
    fn slope<'a>(self: Box<Self>, gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a;
}

/// How the gradient at the input, which [`Pullback::slope`] gave, depends on the weights: a Jacobian-vector product at the
/// points of that pass.
pub(crate) trait Pushforward: std::fmt::Debug {
    /// How the output moves where the input moves by `tangent`. Adds to `sums` the gradient, with respect to the weights, of the dot
    /// product of `tangent` and the gradient at the input; with `factors`, also the first-order gradient for an output's gradient
    /// of `factors` times that which [`Pullback::slope`] took, sample by sample.
    fn tangent(&self, tangent: Maps, factors: Option<&[f32]>, sums: &mut Gradients) -> Result<Maps>;
}

/// What a backward pass is asked for beside the gradients of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The gradient of the network's input.
    Input,
    /// Nothing.
    Nothing,
}
