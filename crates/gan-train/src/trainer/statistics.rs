//! The running statistics of a network's batch norms.

use crate::error::Result;
use crate::group::Group;
use candle_core::{Tensor, Var};
use gan_models::Params;

/// Statistics as they were at one moment.
pub(super) struct Statistics(Vec<(Var, Tensor)>);

impl Statistics {
    pub(super) fn of(params: &Params) -> Result<Self> {
        let kept = |var: &Var| Ok((var.clone(), var.as_detached_tensor().copy()?));
        Ok(Self(params.running().map(kept).collect::<Result<_>>()?))
    }

    /// Gives the network these statistics again.
    pub(super) fn restore(self) -> Result<()> {
        for (var, value) in self.0 {
            var.set(&value)?;
        }
        Ok(())
    }
}

/// Gives every rank the means of the ranks' statistics. Each rank has computed its own from its share of
/// the batch.
pub(super) fn average(networks: [&Params; 2], group: &dyn Group) -> Result<()> {
    let ranks = group.size();
    let vars: Vec<&Var> = networks.into_iter().flat_map(Params::running).collect();
    if ranks == 1 || vars.is_empty() {
        return Ok(());
    }
    let mut values = vec![];
    for var in &vars {
        values.extend(var.flatten_all()?.to_vec1::<f32>()?);
    }
    group.all_reduce(&mut values)?;
    let mut values = values.into_iter().map(|sum| sum / ranks as f32);
    for var in vars {
        let mean: Vec<f32> = values.by_ref().take(var.elem_count()).collect();
        var.set(&Tensor::from_vec(mean, var.shape(), var.device())?)?;
    }
    Ok(())
}
