//! Gradients of a whole network.

use crate::batch::image;
use crate::params::Params;
use crate::part::{self, Sum};
use crate::pass::Prepared;
use candle_core::{Result, Tensor, backprop::GradStore};
use gan_ops::Gradient;

/// Gradients of a network's trainable parameters, summed over backward passes.
#[derive(Debug)]
pub struct Gradients(Sums);

#[derive(Debug)]
enum Sums {
    Parts(Vec<Sum>),
    Tape { params: Params, sums: Vec<Option<Tensor>> },
}

impl Gradients {
    /// Zero for each trainable parameter of the prepared network, whose weights are `params`.
    ///
    /// # Errors
    /// A shape that some layer cannot take.
    pub fn new(prepared: &Prepared<'_>, params: &Params) -> Result<Self> {
        if prepared.parts.is_empty() {
            let sums = vec![None; params.trainable().count()];
            return Ok(Self(Sums::Tape { params: params.clone(), sums }));
        }
        let (parts, _) = part::sums(&prepared.network.0, image(&prepared.input))?;
        Ok(Self(Sums::Parts(parts)))
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Sums::Parts(parts) => clear(parts),
            Sums::Tape { sums, .. } => sums.fill(None),
        }
    }

    /// Calls `f` with the position among the trainable parameters and the gradient of each that has one.
    ///
    /// # Errors
    /// The first of `f`.
    pub fn each(&self, mut f: impl FnMut(usize, Gradient<'_>) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        match &self.0 {
            Sums::Parts(parts) => {
                let mut i = 0;
                each(parts, &mut |values| {
                    if result.is_ok() {
                        result = f(i, Gradient::Slice(values));
                    }
                    i += 1;
                });
            }
            Sums::Tape { sums, .. } => {
                for (i, sum) in sums.iter().enumerate() {
                    if let Some(sum) = sum {
                        f(i, Gradient::Tensor(sum))?;
                    }
                }
            }
        }
        result
    }

    /// Euclidean norm over all parameters.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn norm(&self) -> Result<f64> {
        let mut sum = 0.;
        self.each(|_, gradient| {
            sum += match gradient {
                Gradient::Slice(values) => squares(values),
                Gradient::Tensor(values) => squares(&values.flatten_all()?.to_vec1::<f32>()?),
            };
            Ok(())
        })?;
        Ok(sum.sqrt())
    }

    pub(crate) fn parts(&mut self) -> Option<&mut [Sum]> {
        match &mut self.0 {
            Sums::Parts(parts) => Some(parts),
            Sums::Tape { .. } => None,
        }
    }

    pub(crate) fn add(&mut self, grads: &GradStore) -> Result<()> {
        if let Sums::Tape { params, sums } = &mut self.0 {
            for (sum, (_, var)) in sums.iter_mut().zip(params.trainable()) {
                if let Some(grad) = grads.get(var) {
                    *sum = Some(match sum.take() {
                        Some(sum) => (sum + grad.detach())?,
                        None => grad.detach(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn clear(parts: &mut [Sum]) {
    for part in parts {
        match part {
            Sum::Layer { sums, .. } => sums.clear(),
            Sum::Residual { body, shortcut } => {
                clear(body);
                clear(shortcut);
            }
            Sum::Nothing => {}
        }
    }
}

/// Calls `f` with the gradient of each parameter, in their order.
fn each(parts: &[Sum], f: &mut dyn FnMut(&[f32])) {
    for part in parts {
        match part {
            Sum::Layer { sums, normalised: None } => sums.each(&mut *f),
            Sum::Layer { sums, normalised: Some(normalised) } => {
                // The weight is the first parameter of a layer.
                let mut weight = Some(normalised);
                sums.each(|values| match weight.take() {
                    Some(weight) => f(&weight.to_original(values)),
                    None => f(values),
                });
            }
            Sum::Residual { body, shortcut } => {
                each(body, f);
                each(shortcut, f);
            }
            Sum::Nothing => {}
        }
    }
}

/// Sum of squares, in f64 over short runs of f32: exact enough for a norm, and vectorised.
pub(crate) fn squares(values: &[f32]) -> f64 {
    values.chunks(64).map(|run| f64::from(run.iter().map(|v| v * v).sum::<f32>())).sum()
}
