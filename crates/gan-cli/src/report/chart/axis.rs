//! The sides of a chart: where values stand, and which numbers are written.

/// If the largest positive value is so many times the smallest, the axis is logarithmic.
const DECADES: f64 = 1000.;

/// Values along a side of a chart.
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Places of `low` and `high`.
    ends: [f64; 2],
    is_logarithmic: bool,
}

impl Axis {
    /// Covers `values`, and some space around them if `has_margin`.
    pub(super) fn new(values: impl Iterator<Item = f64>, ends: [f64; 2], has_margin: bool) -> Self {
        let all: Vec<f64> = values.collect();
        let (low, high) =
            all.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        if !low.is_finite() || !high.is_finite() {
            return Self { low: 0., high: 1., ends, is_logarithmic: false };
        }
        if has_margin && low > 0. && high / low > DECADES {
            return Self { low: low / 1.3, high: high * 1.3, ends, is_logarithmic: true };
        }
        let space = if high > low {
            high - low
        } else if high == 0. {
            1.
        } else {
            high.abs()
        };
        let margin = if has_margin { space * 0.05 } else { 0. };
        // Numbers that are never negative begin at 0 if they come near it.
        let low = if has_margin && low >= 0. && low < space { 0. } else { low - margin };
        let high = if high > low { high + margin } else { low + 1. };
        Self { low, high, ends, is_logarithmic: false }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.ends[0] + share * (self.ends[1] - self.ends[0])
    }

    /// Round values within the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            let [first, last] = [self.low.log10().ceil() as i32, self.high.log10().floor() as i32];
            let every = ((last - first) / 6 + 1).max(1) as usize;
            let mut ticks: Vec<f64> =
                (first..=last).step_by(every).map(|decade| 10f64.powi(decade)).collect();
            // Without them, a large part of a short axis has no number.
            let ends = [(first - 1, [5., 2.]), (last, [5., 2.])];
            for (decade, factors) in ends {
                let values = factors.map(|factor| factor * 10f64.powi(decade));
                let is_free = |value: &f64| {
                    let near = |tick: &f64| (self.place(*tick) - self.place(*value)).abs() < 14.;
                    (self.low..=self.high).contains(value) && !ticks.iter().any(near)
                };
                ticks.extend(values.into_iter().find(is_free));
            }
            ticks.sort_by(f64::total_cmp);
            return ticks;
        }
        let rough = (self.high - self.low) / 7.;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1., 2., 5., 10.].into_iter().map(|round| round * decade).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let [first, last] = [(self.low / step).ceil() as i64, (self.high / step + 1e-9).floor() as i64];
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// A number with as many digits as a reader needs: `0.25`, `1500`, `20k`, `3e-5`.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0. && !(1e-3..1e6).contains(&magnitude) {
        return format!("{value:.2e}").replace(".00e", "e").replace("0e", "e");
    }
    if magnitude >= 1e4 {
        return trimmed(format!("{:.2}", value / 1e3)) + "k";
    }
    let digits = if magnitude >= 1e3 {
        0
    } else if magnitude >= 10. {
        2
    } else {
        4
    };
    trimmed(format!("{value:.digits$}"))
}

/// Without zeros at the end of the fraction.
fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks_at_their_places() {
        let axis = Axis::new([0.03, 0.97].into_iter(), [100., 0.], true);
        assert_eq!(
            axis.ticks().into_iter().map(number).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert!((axis.place(0.) - 100.).abs() < 1e-9 && axis.place(0.97) > 0.);
        let axis = Axis::new([1e-5, 2.].into_iter(), [0., 1.], true);
        assert_eq!(
            axis.ticks().into_iter().map(number).collect::<Vec<_>>(),
            ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]
        );
        let middle = axis.place((axis.low * axis.high).sqrt());
        assert!((middle - 0.5).abs() < 1e-9);
        // One value, or none, has an axis too.
        for values in [vec![], vec![3.], vec![0., 0.], vec![-2.]] {
            let axis = Axis::new(values.into_iter(), [0., 1.], true);
            assert!(axis.high > axis.low && !axis.ticks().is_empty());
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0., "0"),
            (0.25, "0.25"),
            (-1.5, "-1.5"),
            (1500., "1500"),
            (20_000., "20k"),
            (12_345., "12.35k"),
            (3e-5, "3e-5"),
            (1.25e-5, "1.25e-5"),
            (2e6, "2e6"),
            (99.999, "100"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
