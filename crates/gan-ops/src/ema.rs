//! One update of an exponential moving average, in place.

use crate::{fused, reference, slices};
use candle_core::{Result, Tensor, Var};

/// Updates `average` by one step of an exponential moving average:
/// `decay * average + (1 - decay) * now`. Every tensor that shares its values sees the new values.
///
/// Both have the same shape, and neither is a view of the other.
///
/// # Errors
/// Shapes that differ; the same tensor passed twice.
pub fn ema_step(average: &Var, now: &Tensor, decay: f64) -> Result<()> {
    if average.shape() != now.shape() {
        candle_core::bail!("ema: {now:?} for {average:?}")
    }
    if !(fused::serves(average.device(), average.dtype()) && fused::serves(now.device(), now.dtype())) {
        return average.set(&reference::ema_step(average, now, decay)?);
    }
    let now = now.contiguous()?;
    // A tensor cannot be read while it is written: the read would wait for itself.
    let place = |tensor: &Tensor| slices::read(tensor, |values| values.as_ptr() as usize);
    if average.elem_count() > 0 && place(average)? == place(&now)? {
        candle_core::bail!("ema: the same tensor twice")
    }
    let (kept, taken) = (decay as f32, (1. - decay) as f32);
    slices::read(&now, |now| {
        slices::write(average, |average| {
            for (average, now) in average.iter_mut().zip(now) {
                *average = *average * kept + now * taken;
            }
        })
    })?
}
