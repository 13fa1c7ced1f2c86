//! Gradients of a whole network.

use crate::params::Params;
use crate::pass::{Prepared, image};
use crate::sequential::Stage;
use candle_core::{Result, Tensor, backprop::GradStore};
use gan_ops::Gradient;
use gan_ops::fused;

/// Gradients of a network's trainable parameters, summed over backward passes.
#[derive(Debug)]
pub struct Gradients(Sums);

#[derive(Debug)]
enum Sums {
    Layers(Vec<Option<fused::Gradient>>),
    Tape { params: Params, sums: Vec<Option<Tensor>> },
}

impl Gradients {
    /// Zero for each trainable parameter of the prepared network, whose weights are `params`.
    ///
    /// # Errors
    /// A shape that some layer cannot take.
    pub fn new(prepared: &Prepared<'_>, params: &Params) -> Result<Self> {
        if prepared.layers.is_empty() {
            let sums = vec![None; params.trainable().count()];
            return Ok(Self(Sums::Tape { params: params.clone(), sums }));
        }
        let mut shape = image(&prepared.input);
        let mut layers = vec![];
        for stage in &prepared.network.0 {
            match stage {
                Stage::Flatten => {
                    shape = [shape.iter().product(), 1, 1];
                    layers.push(None);
                }
                Stage::Fused(layer) => {
                    layers.push(Some(layer.gradient(shape)?));
                    shape = layer.output(shape)?;
                }
            }
        }
        Ok(Self(Sums::Layers(layers)))
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Sums::Layers(layers) => layers.iter_mut().flatten().for_each(fused::Gradient::clear),
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
            Sums::Layers(layers) => {
                let mut i = 0;
                for layer in layers.iter().flatten() {
                    layer.each(|values| {
                        if result.is_ok() {
                            result = f(i, Gradient::Slice(values));
                        }
                        i += 1;
                    });
                }
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

    pub(crate) fn layer(&mut self, i: usize) -> Option<&mut fused::Gradient> {
        match &mut self.0 {
            Sums::Layers(layers) => layers.get_mut(i)?.as_mut(),
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

/// Sum of squares, in f64 over short runs of f32: exact enough for a norm, and vectorised.
pub(crate) fn squares(values: &[f32]) -> f64 {
    values.chunks(64).map(|run| f64::from(run.iter().map(|v| v * v).sum::<f32>())).sum()
}
