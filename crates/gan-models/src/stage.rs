//! The parts that a network computes at once, in the forms that training needs. A [`Stage`]
//! computes on candle's tape. A [`Kernel`] has its weights in the order of the CPU's kernels. A
//! forward pass returns a [`Pullback`], which is its backward pass, and that gives a
//! [`Pushforward`] for penalties.
//!
//! A forward pass returns its own backward pass. So the values that the forward pass keeps are
//! exactly those that the backward pass needs.

use crate::gradients::Gradients;
use crate::mode::{Draws, Mode};
use candle_core::{Result, Tensor};
use gan_ops::fused::Maps;

/// One or more layers with their weights, on candle's tape.
pub(crate) trait Stage: std::fmt::Debug + Send + Sync {
    /// The result on candle's tape. It is the definition of the stage, and GPUs run it.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor>;

    /// In training, the result and its derivative in the direction `tangent`: how the result
    /// moves if `x` moves by `tangent`. A penalty needs the gradient of this derivative with
    /// respect to the weights, so it is on the tape too.
    ///
    /// # Errors
    /// A stage without an exact second order.
    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)>;

    /// Whether the kernels can compute the stage: see [`gan_ops::fused::serves`].
    fn is_served(&self) -> bool;

    /// Puts the present weights in the kernels' order.
    fn prepare(&self) -> Result<Box<dyn Kernel>>;
}

/// A stage with the weights of one moment, not on the tape.
pub(crate) trait Kernel: std::fmt::Debug {
    /// The result in evaluation. Nothing is kept.
    fn evaluate(&self, x: Maps) -> Result<Maps>;

    /// The result in training, and its backward pass.
    fn forward(&self, x: &Maps, draws: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)>;
}

/// The backward pass of one forward pass: a vector-Jacobian product.
pub(crate) trait Pullback: std::fmt::Debug {
    /// Takes the gradient of the output. Adds the gradients of the weights to `sums`, if given,
    /// and returns the gradient of the input if `wanted` asks for it.
    fn backward(
        self: Box<Self>,
        gradient: Maps,
        sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Maps>>;

    /// Computes the gradient of the input from the gradient of the output, and returns what
    /// computes its dependence on the weights.
    ///
    /// # Errors
    /// A stage without an exact second order.
    fn slope<'a>(self: Box<Self>, gradient: Maps) -> Result<(Maps, Box<dyn Pushforward + 'a>)>
    where
        Self: 'a;
}

/// How the gradient at the input, which [`Pullback::slope`] returned, depends on the weights. It
/// is a Jacobian-vector product at the points of that pass.
pub(crate) trait Pushforward: std::fmt::Debug {
    /// Returns how the output moves if the input moves by `tangent`. Adds to `sums` the gradient,
    /// with respect to the weights, of the dot product of `tangent` and the gradient at the
    /// input.
    ///
    /// With `factors`, it also adds a first-order gradient to `sums`. The gradient of the output
    /// is then, for each sample, its factor times the gradient that [`Pullback::slope`] took.
    fn tangent(&self, tangent: Maps, factors: Option<&[f32]>, sums: &mut Gradients) -> Result<Maps>;
}

/// What a backward pass returns besides the gradients of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The gradient of the network's input.
    Input,
    /// Nothing.
    Nothing,
}
