//! Objectives: what D and G minimise. They are functions of D's logits on real and fake images.

use candle_core::{Result, Tensor};
use gan_ops::{bce_with_logits, relu, softplus};
use serde::{Deserialize, Serialize};

/// An objective: the loss of D and the loss of G.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy with the generator's non-saturating form: G maximises `log D(G(z))`
    /// (Goodfellow et al. 2014, arXiv 1406.2661, section 3, last paragraph).
    #[default]
    NonSaturating,
    /// Binary cross-entropy with the value function of equation 1 for both players. G minimises
    /// `log(1 - D(G(z)))`, whose gradient vanishes where D is sure.
    Minimax,
    /// Least squares, with the targets 1 for real and 0 for fake images (Mao et al. 2017, arXiv
    /// 1611.04076, equation 9).
    LeastSquares,
    /// The Wasserstein critic's difference of means (Arjovsky et al. 2017, arXiv 1701.07875,
    /// algorithm 1). It is right only for a critic with a bounded gradient. Clipping, a gradient
    /// penalty or spectral normalisation bounds it.
    Wasserstein,
    /// Hinge: D has margins of 1 on either side, and G uses the mean (Lim and Ye 2017, arXiv
    /// 1705.02894, equation 14; Miyato et al. 2018, arXiv 1802.05957, equations 16 and 17).
    Hinge,
    /// D compares each real image with a fake one, and G does the reverse (Jolicoeur-Martineau
    /// 2018, arXiv 1807.00734, section 4.1, with the non-saturating f; Huang et al. 2024, arXiv
    /// 2501.05441, equation 1).
    Relativistic,
}

impl Loss {
    /// Every objective.
    pub const ALL: [Self; 6] = [
        Self::NonSaturating,
        Self::Minimax,
        Self::LeastSquares,
        Self::Wasserstein,
        Self::Hinge,
        Self::Relativistic,
    ];

    /// The loss that D minimises:
    ///
    /// | loss | what D minimises |
    /// | --- | --- |
    /// | non-saturating, minimax | `-E log D(x) - E log(1 - D(G(z)))` |
    /// | least squares | `(E (D(x) - 1)^2 + E D(G(z))^2) / 2` |
    /// | Wasserstein | `E D(G(z)) - E D(x)` |
    /// | hinge | `E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))` |
    /// | relativistic | `E softplus(D(G(z)) - D(x))` |
    ///
    /// `real_logits, fake_logits: [B]`. With the non-saturating and the minimax loss, the target of
    /// real images is `1 - label_smoothing` (one-sided: Salimans et al. 2016, arXiv 1606.03498,
    /// section 3.4). The other losses ignore it. Returns a scalar.
    ///
    /// # Errors
    /// Errors of the device; for the relativistic loss, different numbers of logits.
    pub fn discriminator(
        self,
        real_logits: &Tensor,
        fake_logits: &Tensor,
        label_smoothing: f64,
    ) -> Result<Tensor> {
        match self {
            Self::NonSaturating | Self::Minimax => {
                bce_with_logits(real_logits, 1. - label_smoothing)? + bce_with_logits(fake_logits, 0.)?
            }
            Self::LeastSquares => half_square(real_logits, 1.)? + half_square(fake_logits, 0.)?,
            Self::Wasserstein => fake_logits.mean_all()? - real_logits.mean_all()?,
            Self::Hinge => {
                let real = relu(&real_logits.affine(-1., 1.)?)?.mean_all()?;
                real + relu(&(fake_logits + 1.)?)?.mean_all()?
            }
            Self::Relativistic => softplus(&(fake_logits - real_logits)?)?.mean_all(),
        }
    }

    /// The loss that G minimises:
    ///
    /// | loss | what G minimises |
    /// | --- | --- |
    /// | non-saturating | `-E log D(G(z))` |
    /// | minimax | `E log(1 - D(G(z)))` |
    /// | least squares | `E (D(G(z)) - 1)^2 / 2` |
    /// | Wasserstein, hinge | `-E D(G(z))` |
    /// | relativistic | `E softplus(D(x) - D(G(z)))` |
    ///
    /// `real_logits, fake_logits: [B]`. The real ones are used only if [`Self::is_paired`].
    /// Returns a scalar.
    ///
    /// # Errors
    /// Errors of the device; for the relativistic loss, different numbers of logits.
    pub fn generator(self, real_logits: &Tensor, fake_logits: &Tensor) -> Result<Tensor> {
        match self {
            Self::NonSaturating => bce_with_logits(fake_logits, 1.),
            // log(1 - sigmoid(x)) = -softplus(x).
            Self::Minimax => softplus(fake_logits)?.mean_all()?.neg(),
            Self::LeastSquares => half_square(fake_logits, 1.),
            Self::Wasserstein | Self::Hinge => fake_logits.mean_all()?.neg(),
            Self::Relativistic => softplus(&(real_logits - fake_logits)?)?.mean_all(),
        }
    }

    /// Whether G's loss compares fakes with real images. Then D must evaluate the real images
    /// again.
    #[must_use]
    pub fn is_paired(self) -> bool {
        self == Self::Relativistic
    }

    /// Whether the target of real images can be less than 1.
    #[must_use]
    pub fn is_cross_entropy(self) -> bool {
        matches!(self, Self::NonSaturating | Self::Minimax)
    }

    /// How sure D is, as means in [0, 1] over the real and over the fake images. They are 1 and 0
    /// if D recognises all images, as far as the loss allows it. The result is `None` for a
    /// Wasserstein critic, whose logits are no such measure.
    ///
    /// Cross-entropy: the sigmoid. Least squares: the logit, clamped to [0, 1]. Hinge: the
    /// position between the margins. Relativistic: the probability that D finds the real image of
    /// a pair.
    #[must_use]
    pub fn certainty(self, real_logits: &[f32], fake_logits: &[f32]) -> Option<[f32; 2]> {
        let sigmoid = |x: f64| 1. / (1. + (-x).exp());
        let mean = |logits: &[f32], of: &dyn Fn(f64) -> f64| {
            logits.iter().map(|&x| of(x.into())).sum::<f64>() / logits.len() as f64
        };
        let both = |of: &dyn Fn(f64) -> f64| Some([mean(real_logits, of), mean(fake_logits, of)]);
        let found = match self {
            Self::NonSaturating | Self::Minimax => both(&sigmoid),
            Self::LeastSquares => both(&|x| x.clamp(0., 1.)),
            Self::Hinge => both(&|x| f64::midpoint(x, 1.).clamp(0., 1.)),
            Self::Wasserstein => None,
            Self::Relativistic => {
                let apart: Vec<f32> =
                    real_logits.iter().zip(fake_logits).map(|(real, fake)| real - fake).collect();
                let real = mean(&apart, &sigmoid);
                Some([real, 1. - real])
            }
        };
        found.map(|found| found.map(|value| value as f32))
    }
}

/// Computes `E (x - target)^2 / 2`.
fn half_square(logits: &Tensor, target: f64) -> Result<Tensor> {
    (logits - target)?.sqr()?.mean_all()? / 2.
}

/// The name of the loss in a configuration.
impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NonSaturating => "non-saturating",
            Self::Minimax => "minimax",
            Self::LeastSquares => "least-squares",
            Self::Wasserstein => "wasserstein",
            Self::Hinge => "hinge",
            Self::Relativistic => "relativistic",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn scalar(tensor: &Tensor) -> f32 {
        tensor.to_scalar().unwrap()
    }

    #[test]
    fn both_forms_are_finite_and_right_at_extreme_logits() -> Result<()> {
        for (logit, non_saturating, minimax) in [(100f32, 0., -100.), (-100., 100., 0.)] {
            let fake = Var::new(&[logit], &Device::Cpu)?;
            for (loss, value) in [(Loss::NonSaturating, non_saturating), (Loss::Minimax, minimax)] {
                let g = loss.generator(&fake, &fake)?;
                assert!((scalar(&g) - value).abs() < 1e-6);
                let grads = g.backward()?;
                let gradient = grads.get(&fake).unwrap().to_vec1::<f32>()?[0];
                // Both losses raise the logit. The minimax form stops where D is sure of the fake.
                let expected = match (loss, logit > 0.) {
                    (Loss::NonSaturating, true) | (Loss::Minimax, false) => 0.,
                    _ => -1.,
                };
                assert!((gradient - expected).abs() < 1e-6, "{loss} at {logit}: {gradient}");
            }
            let real = Tensor::new(&[-logit], &Device::Cpu)?;
            let worst = scalar(&Loss::Minimax.discriminator(&real, &fake, 0.)?);
            assert!((worst - if logit > 0. { 200. } else { 0. }).abs() < 1e-4);
        }
        Ok(())
    }

    #[test]
    fn every_loss_has_the_value_of_its_equation() -> Result<()> {
        let real = Tensor::new(&[2f32, -0.5], &Device::Cpu)?;
        let fake = Tensor::new(&[-1.5f32, 0.25], &Device::Cpu)?;
        let softplus = |x: f32| x.exp().ln_1p();
        let expected = [
            (Loss::LeastSquares, (1. + 2.25 + 2.25 + 0.0625) / 4., (6.25 + 0.5625) / 4.),
            (Loss::Wasserstein, -0.625 - 0.75, 0.625),
            (Loss::Hinge, 0.5 * 1.5 + 0.5 * 1.25, 0.625),
            (
                Loss::Relativistic,
                0.5 * (softplus(-3.5) + softplus(0.75)),
                0.5 * (softplus(3.5) + softplus(-0.75)),
            ),
        ];
        for (loss, d, g) in expected {
            let found = [loss.discriminator(&real, &fake, 0.)?, loss.generator(&real, &fake)?];
            let found = found.each_ref().map(scalar);
            assert!((found[0] - d).abs() < 1e-6 && (found[1] - g).abs() < 1e-6, "{loss}: {found:?} {d} {g}");
        }
        // Smoothed labels move the best logit of a real image from infinity to log(0.9 / 0.1).
        let at_best = Var::new(&[9f32.ln()], &Device::Cpu)?;
        let smoothed = Loss::NonSaturating.discriminator(&at_best, &fake, 0.1)?;
        let gradient = smoothed.backward()?.get(&at_best).unwrap().to_vec1::<f32>()?[0];
        assert!(gradient.abs() < 1e-6, "{gradient}");
        Ok(())
    }

    #[test]
    fn certainty_is_one_and_zero_where_all_is_told() {
        for loss in Loss::ALL {
            let sure = loss.certainty(&[40., 50.], &[-40., -50.]);
            let unsure = loss.certainty(&[0.5, 0.5], &[0.5, 0.5]);
            if loss == Loss::Wasserstein {
                assert_eq!((sure, unsure), (None, None));
                continue;
            }
            let [[real, fake], [a, b]] = [sure.unwrap(), unsure.unwrap()];
            assert!(real > 0.999 && fake < 1e-3, "{loss}: {real} {fake}");
            let undecided = if loss == Loss::Relativistic { a + b - 1. } else { a - b };
            assert!(undecided.abs() < 1e-6, "{loss}: {a} {b}");
        }
    }
}
