//! The report of a step.

use super::updates::Judged;

/// The measurements of one step. If a player makes several updates, they are means over the
/// updates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// The loss that D minimised, penalties included.
    pub d_loss: f32,
    /// The part of `d_loss` that comes from penalties.
    pub penalty: f32,
    /// The loss that G minimised, through the updated D.
    pub g_loss: f32,
    /// How sure D is about real and about fake images before its update
    /// ([`Loss::certainty`](crate::Loss::certainty)). For cross-entropy, these are the means of
    /// `sigmoid(D(x))` and `sigmoid(D(G(z)))`.
    pub certainty: Option<[f32; 2]>,
    /// Largest magnitude of D's logits on its batches, before its updates.
    pub largest_logit: f32,
}

impl StepReport {
    pub(super) fn new(step: u64, judged: &[Judged], g_loss: f32) -> Self {
        let mean = |of: &dyn Fn(&Judged) -> f32| judged.iter().map(of).sum::<f32>() / judged.len() as f32;
        let certainty = |i: usize| mean(&|one| one.certainty.map_or(f32::NAN, |certainty| certainty[i]));
        let is_sure = judged.iter().all(|one| one.certainty.is_some());
        Self {
            step,
            d_loss: mean(&|one| one.loss),
            penalty: mean(&|one| one.penalty),
            g_loss,
            certainty: is_sure.then(|| [certainty(0), certainty(1)]),
            largest_logit: judged.iter().fold(0., |most, one| one.largest_logit.max(most)),
        }
    }
}
