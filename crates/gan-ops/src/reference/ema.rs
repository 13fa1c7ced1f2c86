//! One update of an exponential moving average.

use candle_core::{Result, Tensor};

/// `decay * average + (1 - decay) * now`, both of one shape.
///
/// # Errors
/// Shapes that differ.
pub fn ema_step(average: &Tensor, now: &Tensor, decay: f64) -> Result<Tensor> {
    // Off the graph, which would grow with every step.
    (average.detach() * decay)? + (now.detach() * (1. - decay))?
}
