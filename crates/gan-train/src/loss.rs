//! Objectives: what D and G minimise, as functions of D's logits on real and fake images.

use candle_core::{Result, Tensor};
use gan_ops::{bce_with_logits, softplus};
use serde::{Deserialize, Serialize};

/// A pair of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy with the generator's non-saturating form: G maximises `log D(G(z))`
    /// (Goodfellow et al. 2014, arXiv 1406.2661, section 3, last paragraph).
    #[default]
    NonSaturating,
    /// Binary cross-entropy with the value function of equation 1 for both players: G minimises
    /// `log(1 - D(G(z)))`, whose gradient vanishes where D is sure.
    Minimax,
}

impl Loss {
    /// What D minimises: `-E log D(x) - E log(1 - D(G(z)))`, the sum of two means.
    ///
    /// `real_logits, fake_logits: [B]`; returns a scalar.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn discriminator(self, real_logits: &Tensor, fake_logits: &Tensor) -> Result<Tensor> {
        match self {
            Self::NonSaturating | Self::Minimax => {
                bce_with_logits(real_logits, 1.)? + bce_with_logits(fake_logits, 0.)?
            }
        }
    }

    /// What G minimises: `-E log D(G(z))` or `E log(1 - D(G(z)))`.
    ///
    /// `fake_logits: [B]`; returns a scalar.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn generator(self, fake_logits: &Tensor) -> Result<Tensor> {
        match self {
            Self::NonSaturating => bce_with_logits(fake_logits, 1.),
            // log(1 - sigmoid(x)) = -softplus(x).
            Self::Minimax => softplus(fake_logits)?.mean_all()?.neg(),
        }
    }
}

/// Its name in a configuration.
impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NonSaturating => "non-saturating",
            Self::Minimax => "minimax",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn both_forms_are_finite_and_right_at_extreme_logits() -> Result<()> {
        let scalar = |t: Tensor| t.to_scalar::<f32>();
        for (logit, non_saturating, minimax) in [(100f32, 0., -100.), (-100., 100., 0.)] {
            let fake = Var::new(&[logit], &Device::Cpu)?;
            for (loss, value) in [(Loss::NonSaturating, non_saturating), (Loss::Minimax, minimax)] {
                let g = loss.generator(&fake)?;
                assert!((scalar(g.clone())? - value).abs() < 1e-6);
                let grads = g.backward()?;
                let gradient = grads.get(&fake).unwrap().to_vec1::<f32>()?[0];
                // Both push the logit up; the minimax form stops where D is sure of the fake.
                let expected = match (loss, logit > 0.) {
                    (Loss::NonSaturating, true) | (Loss::Minimax, false) => 0.,
                    _ => -1.,
                };
                assert!((gradient - expected).abs() < 1e-6, "{loss} at {logit}: {gradient}");
            }
            let real = Tensor::new(&[-logit], &Device::Cpu)?;
            let worst = scalar(Loss::Minimax.discriminator(&real, &fake)?)?;
            assert!((worst - if logit > 0. { 200. } else { 0. }).abs() < 1e-4);
        }
        Ok(())
    }
}
