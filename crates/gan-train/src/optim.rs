//! Adam with named moments, so that a checkpoint holds them and a test compares them.

use candle_core::{Result, Tensor, Var};
use gan_models::{Gradients, Params};
use gan_ops::{AdamHyper, adam_step};
use std::collections::HashMap;

/// Adam (Kingma & Ba 2015, arXiv 1412.6980) over the trainable variables of one network, equal to
/// PyTorch's `torch.optim.Adam` without weight decay.
#[derive(Debug, Clone)]
pub struct Optimizer {
    hyper: AdamHyper,
    step: u64,
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
    /// Moments of zero for each trainable variable.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn new(params: &Params, hyper: AdamHyper) -> Result<Self> {
        let slot = |(name, var): (&str, &Var)| {
            let zeros = || Var::zeros(var.shape(), var.dtype(), var.device());
            let (first_moment, second_moment) = (zeros()?, zeros()?);
            Ok(Slot { name: name.to_owned(), var: var.clone(), first_moment, second_moment })
        };
        Ok(Self { hyper, step: 0, slots: params.trainable().map(slot).collect::<Result<_>>()? })
    }

    /// Moves every variable that has a gradient.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.step += 1;
        gradients.each(|i, gradient| {
            let Slot { var, first_moment, second_moment, .. } = &self.slots[i];
            adam_step(var, gradient, [first_moment, second_moment], &self.hyper, self.step)
        })
    }

    /// Moves every variable that has a gradient, with other settings from here on: the moments stay, and what corrects their
    /// bias is computed from the present betas, as `torch.optim.Adam` does when `param_groups` change.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn step_with(&mut self, gradients: &Gradients, hyper: AdamHyper) -> Result<()> {
        self.hyper = hyper;
        self.step(gradients)
    }

    /// The settings; those of the last step, where they change.
    #[must_use]
    pub fn hyper(&self) -> &AdamHyper {
        &self.hyper
    }

    /// Euclidean norm of the last update, from the moments that made it: no copy of the weights is needed. 0 before the first.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn update_norm(&self) -> Result<f64> {
        if self.step == 0 {
            return Ok(0.);
        }
        let AdamHyper { lr, betas, eps } = self.hyper;
        let correction = |beta: f64| 1. - beta.powf(self.step as f64);
        let (first, second) = (correction(betas.0).recip() as f32, correction(betas.1).recip() as f32);
        let moved = |(m, v): (&f32, &f32)| (m * first / ((v * second).sqrt() + eps as f32)).powi(2);
        let mut sum = 0.;
        for slot in &self.slots {
            let values = |moment: &Var| moment.flatten_all()?.to_vec1::<f32>();
            let (m, v) = (values(&slot.first_moment)?, values(&slot.second_moment)?);
            // Short runs of f32 are exact enough for a norm, and vectorised.
            for (m, v) in m.chunks(64).zip(v.chunks(64)) {
                sum += f64::from(m.iter().zip(v).map(moved).sum::<f32>());
            }
        }
        Ok(lr * sum.sqrt())
    }

    /// Both moments of every variable: `model.0.weight.m`, `model.0.weight.v`. The next step changes them.
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

    /// Goes on after `step` updates with the given moments.
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
