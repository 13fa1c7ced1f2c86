//! Adam and `RMSprop`. Their moments have names, so that checkpoints can hold them and tests can
//! compare them.

use crate::error::Result;
use candle_core::{Tensor, Var};
use gan_models::{Gradients, Layout, Params};
use gan_ops::{AdamHyper, adam_step};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The algorithm that turns a gradient into a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Kingma & Ba 2015, arXiv 1412.6980, algorithm 1. It equals `torch.optim.Adam` without
    /// weight decay.
    #[default]
    Adam,
    /// `p -= lr * g / (sqrt(v) + eps)`, where `v` is the average of the squared gradients `g` and
    /// starts at 0 (Tieleman and Hinton 2012, lecture 6.5). It equals `torch.optim.RMSprop`
    /// without momentum. Arjovsky et al. 2017 use it (arXiv 1701.07875, algorithm 1), because
    /// their critic trained badly with momentum. It is Adam without a first moment and without
    /// bias correction.
    Rmsprop,
}

/// An optimizer over the trainable variables of one network.
#[derive(Debug, Clone)]
pub struct Optimizer {
    algorithm: Algorithm,
    hyper: AdamHyper,
    step: u64,
    /// The parameters that the slots belong to.
    layout: Layout,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    name: String,
    var: Var,
    first_moment: Var,
    second_moment: Var,
}

impl Optimizer {
    /// Makes an optimizer with zero moments for each trainable variable.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn new(params: &Params, algorithm: Algorithm, hyper: AdamHyper) -> Result<Self> {
        let slot = |(name, var): (&str, &Var)| {
            let zeros = || Var::zeros(var.shape(), var.dtype(), var.device());
            let (first_moment, second_moment) = (zeros()?, zeros()?);
            Ok(Slot { name: name.to_owned(), var: var.clone(), first_moment, second_moment })
        };
        let slots = params.trained().map(slot).collect::<Result<_>>()?;
        Ok(Self { algorithm, hyper, step: 0, layout: params.layout().clone(), slots })
    }

    /// Updates every variable that has a gradient.
    ///
    /// # Errors
    /// Gradients of another network.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.layout.check_same(gradients.layout())?;
        self.step += 1;
        let age = self.age();
        Ok(gradients.each(|i, gradient| {
            let Slot { var, first_moment, second_moment, .. } = &self.slots[i];
            adam_step(var, gradient, [first_moment, second_moment], &self.hyper, age)
        })?)
    }

    /// Updates every variable that has a gradient, and uses other settings from now on. The
    /// moments stay. Their bias is corrected with the present betas, as `torch.optim.Adam` does
    /// after a change of `param_groups`.
    ///
    /// # Errors
    /// Gradients of another network.
    pub fn step_with(&mut self, gradients: &Gradients, hyper: AdamHyper) -> Result<()> {
        self.hyper = hyper;
        self.step(gradients)
    }

    /// The settings. If they change during a run, these are the settings of the last step.
    #[must_use]
    pub fn hyper(&self) -> &AdamHyper {
        &self.hyper
    }

    /// Euclidean norm of the last update. It is computed from the moments of that update, so it
    /// needs no copy of the weights. It is 0 before the first update.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn update_norm(&self) -> Result<f64> {
        if self.step == 0 {
            return Ok(0.);
        }
        let AdamHyper { lr, betas, eps } = self.hyper;
        let correction = |beta: f64| 1. - beta.powf(self.age() as f64);
        let (first, second) = (correction(betas.0).recip() as f32, correction(betas.1).recip() as f32);
        let moved = |(m, v): (&f32, &f32)| (m * first / ((v * second).sqrt() + eps as f32)).powi(2);
        let mut sum = 0.;
        for slot in &self.slots {
            let values = |moment: &Var| moment.flatten_all()?.to_vec1::<f32>();
            let (m, v) = (values(&slot.first_moment)?, values(&slot.second_moment)?);
            // The compiler vectorises the short sums in f32, and they are exact enough for a
            // norm.
            for (m, v) in m.chunks(64).zip(v.chunks(64)) {
                sum += f64::from(m.iter().zip(v).map(moved).sum::<f32>());
            }
        }
        Ok(lr * sum.sqrt())
    }

    /// The step number for the bias correction of the moments.
    fn age(&self) -> u64 {
        match self.algorithm {
            Algorithm::Adam => self.step,
            // For this step number `beta^step` is exactly 0 for every beta below 1, so nothing is
            // corrected.
            Algorithm::Rmsprop => u64::MAX,
        }
    }

    /// Both moments of every variable: `model.0.weight.m`, `model.0.weight.v`. The tensors change
    /// with the next step.
    #[must_use]
    pub fn moments(&self) -> Vec<(String, Tensor)> {
        let both = |slot: &Slot| {
            [
                (format!("{}.m", slot.name), slot.first_moment.as_detached_tensor()),
                (format!("{}.v", slot.name), slot.second_moment.as_detached_tensor()),
            ]
        };
        self.slots.iter().flat_map(both).collect()
    }

    /// Continues after `step` updates with the given moments.
    ///
    /// # Errors
    /// The name of a moment that is missing or has another shape.
    pub fn restore(
        &mut self,
        step: u64,
        moments: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), String> {
        let find = |name: String, like: &Var| match moments.get(&name) {
            Some(tensor) if tensor.shape() == like.shape() => {
                tensor.to_device(like.device()).map_err(|e| format!("moment {name}: {e}"))
            }
            Some(tensor) => {
                Err(format!("moment {name}: expected {:?}, found {:?}", like.dims(), tensor.dims()))
            }
            None => Err(format!("moment {name} is missing")),
        };
        for slot in &self.slots {
            for (moment, suffix) in [(&slot.first_moment, "m"), (&slot.second_moment, "v")] {
                let name = format!("{}.{suffix}", slot.name);
                moment.set(&find(name.clone(), &slot.var)?).map_err(|e| format!("moment {name}: {e}"))?;
            }
        }
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_ops::Gradient;

    #[test]
    fn rmsprop_is_adam_without_a_first_moment_and_a_correction() -> Result<()> {
        // The power of every beta below 1 becomes 0, so the kernel's factors are exactly those of
        // RMSprop.
        assert!((1. - f64::EPSILON / 2.).powf(u64::MAX as f64) == 0. && 0f64.powf(u64::MAX as f64) == 0.);
        let hyper = AdamHyper { lr: 0.1, betas: (0., 0.99), eps: 1e-8 };
        let var = |value: f32| Var::from_tensor(&Tensor::full(value, 21, &Device::Cpu)?);
        let (param, first, second) = (var(1.)?, var(0.)?, var(0.)?);
        let (mut expected, mut average) = (1f64, 0f64);
        for gradient in [3f32, -0.5, 0.25] {
            let (values, square) = (vec![gradient; 21], f64::from(gradient).powi(2));
            adam_step(&param, Gradient::Slice(&values), [&first, &second], &hyper, u64::MAX)?;
            average = 0.99 * average + 0.01 * square;
            expected -= 0.1 * f64::from(gradient) / (average.sqrt() + 1e-8);
            let found = param.to_vec1::<f32>()?;
            assert!(found.iter().all(|found| (f64::from(*found) - expected).abs() < 1e-5), "{}", found[0]);
        }
        Ok(())
    }
}
