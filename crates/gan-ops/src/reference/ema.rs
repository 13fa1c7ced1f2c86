//! One update of an exponential moving average.

use candle_core::{Result, Tensor};

/// Returns `decay * average + (1 - decay) * now`. Both tensors have the same shape.
///
/// # Errors
/// Shapes that differ.
pub fn ema_step(average: &Tensor, now: &Tensor, decay: f64) -> Result<Tensor> {
    // The result is not on the graph, because the graph would grow with every step.
    (average.detach() * decay)? + (now.detach() * (1. - decay))?
}
