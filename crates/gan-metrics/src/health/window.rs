//! Collects the losses between two health checks.

use super::rules::Spacing;
use super::vitals::Losses;
use serde::{Deserialize, Serialize};

/// Number of G's losses that are averaged into one, so that noise between single steps is not
/// mistaken for a rhythm.
const BIN: usize = 10;

/// Collects the steps since the last check, or since an earlier one if checks are frequent. A
/// program that writes checkpoints in between must save it too, so that a resumed run gets the
/// same numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    steps: usize,
    losses: [f64; 2],
    /// `None` after a step that had no certainty.
    certainty: Option<[f64; 2]>,
    largest_logit: f64,
    bin: Vec<f64>,
    means: Vec<f64>,
}

impl Window {
    /// Adds one step: D's and G's loss, how sure D is of real and fake images, and the largest
    /// magnitude of a logit.
    pub fn add(&mut self, losses: [f64; 2], certainty: Option<[f64; 2]>, largest_logit: f64) {
        let before = if self.steps == 0 { Some([0.; 2]) } else { self.certainty };
        let plus = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        self.certainty = before.zip(certainty).map(|(sum, value)| plus(sum, value));
        self.losses = plus(self.losses, losses);
        self.steps += 1;
        self.largest_logit = self.largest_logit.max(largest_logit);
        self.bin.push(losses[1]);
        if self.bin.len() == BIN {
            self.means.push(mean(&self.bin));
            self.bin.clear();
        }
    }

    /// Returns the losses over the collected steps, or `None` if there are no steps. If there are
    /// at least 100 steps, the window then begins again. So checks at shorter distances still give
    /// the rules enough steps.
    pub fn look(&mut self) -> Option<Losses> {
        let Self { steps, losses, certainty, largest_logit, means, .. } = self;
        if *steps == 0 {
            return None;
        }
        let mean = |sum: f64| sum / *steps as f64;
        let [d_loss, g_loss] = losses.map(mean);
        let [d_real, d_fake] = [0, 1].map(|i| certainty.map(|sums| mean(sums[i])));
        let losses = Losses {
            d_loss,
            g_loss,
            d_real,
            d_fake,
            largest_logit: *largest_logit,
            swing: variance(means).sqrt(),
            rhythm: rhythm(means),
        };
        if *steps as u64 >= Spacing::Near.steps() {
            *self = Self::default();
        }
        Some(losses)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn variance(values: &[f64]) -> f64 {
    let middle = mean(values);
    values.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / values.len().max(1) as f64
}

/// Finds the highest local maximum of the autocorrelation. A trend has none.
fn rhythm(values: &[f64]) -> f64 {
    let (middle, scale) = (mean(values), variance(values));
    if scale <= f64::EPSILON * middle.abs() {
        return 0.;
    }
    let at = |lag: usize| {
        let pairs = values.iter().zip(&values[lag..]);
        let products: Vec<f64> = pairs.map(|(a, b)| (a - middle) * (b - middle)).collect();
        mean(&products) / scale
    };
    let correlations: Vec<f64> = (1..=values.len() / 2).map(at).collect();
    let peaks = correlations.windows(3).filter(|w| w[1] > w[0] && w[1] > w[2]).map(|w| w[1]);
    peaks.fold(0., f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(g_loss: impl Fn(f64) -> f64) -> Losses {
        let mut window = Window::default();
        for step in 0..500 {
            window.add([1., g_loss(f64::from(step))], Some([0.5, 0.25]), 3.);
        }
        window.look().unwrap()
    }

    #[test]
    fn a_wave_has_a_rhythm_and_a_trend_has_none() {
        let wave = losses(|step| 2. + (step / 20.).sin());
        assert!(wave.rhythm > 0.9 && (wave.swing - 0.7).abs() < 0.05, "{wave:?}");
        let trend = losses(|step| step / 100.);
        assert!(trend.rhythm < 0.1 && trend.swing > 1., "{trend:?}");
        assert!(losses(|_| 2.).rhythm < 1e-9);
    }

    #[test]
    fn it_begins_anew_when_it_has_seen_enough() {
        let mut window = Window::default();
        assert_eq!(window.look(), None);
        window.add([1., 2.], Some([3., 4.]), 5.);
        let first = window.look().unwrap();
        assert_eq!((first.d_loss, first.g_loss, first.d_real, first.d_fake), (1., 2., Some(3.), Some(4.)));
        assert_eq!((first.largest_logit, first.swing), (5., 0.));
        for _ in 0..99 {
            window.add([3., 2.], None, 1.);
        }
        let all = window.look().unwrap();
        assert!(
            (all.d_loss - 2.98).abs() < 1e-12 && all.largest_logit > 4. && all.d_real.is_none(),
            "{all:?}"
        );
        assert_eq!(window.look(), None);
    }
}
