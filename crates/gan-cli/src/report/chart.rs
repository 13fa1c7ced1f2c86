//! Curves as SVG, which needs no script. Colours come from the page's style sheet.

use std::fmt::Write as _;

/// Size of a chart, and the space for its axes, in the units of its view box.
const SIZE: [f64; 2] = [560., 260.];
const LEFT: f64 = 58.;
const RIGHT: f64 = 24.;
const TOP: f64 = 12.;
const BOTTOM: f64 = 34.;
/// Number of points of a curve from which it is reduced to the smallest and the largest of neighbours.
const POINTS: usize = 600;
/// If the largest positive value is so many times the smallest, the axis is logarithmic.
const DECADES: f64 = 1000.;

/// A picture of curves over the steps.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the values mean, in one sentence.
    pub(crate) note: String,
    /// Values that the axis includes, so that small changes do not look large.
    pub(crate) always: &'static [f64],
    /// The last step of the axis. The charts of a page have the same.
    pub(crate) steps: f64,
    pub(crate) curves: Vec<Curve>,
    pub(crate) marks: Vec<Mark>,
}

/// A curve.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Number of its run, which determines the colour.
    pub(crate) run: usize,
    /// Number of the curve in its run, which determines the dashes.
    pub(crate) dash: usize,
    /// Step and value.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Something that happened at a step.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) step: u64,
    pub(crate) run: usize,
    pub(crate) text: String,
}

impl Chart {
    /// Whether there is anything to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.curves.iter().all(|curve| curve.points.iter().all(|(_, value)| !value.is_finite()))
    }

    /// The chart as an `svg` element.
    pub(crate) fn svg(&self) -> String {
        let finite = |&(x, y): &(f64, f64)| (x.is_finite() && y.is_finite()).then_some((x, y));
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter().filter_map(finite));
        let across =
            Axis::new(points().map(|(x, _)| x).chain([0., self.steps]), [LEFT, SIZE[0] - RIGHT], false);
        let values = points().map(|(_, y)| y).chain(self.always.iter().copied());
        let down = Axis::new(values, [SIZE[1] - BOTTOM, TOP], true);
        let [width, height] = SIZE;
        let title = escaped(&self.title);
        let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">");
        draw_axes(&mut svg, &across, &down);
        for mark in &self.marks {
            let x = across.place(mark.step as f64);
            let (top, bottom, run, text) = (TOP, height - BOTTOM, mark.run % RUNS, escaped(&mark.text));
            let [left, right, tip, base] = [x - 6., x + 6., top + 6., top - 5.];
            let _ = write!(
                svg,
                "<g class=\"mark run{run}\"><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <path d=\"M{left:.1} {base}H{right:.1}L{x:.1} {tip}Z\"><title>{text}</title></path></g>"
            );
        }
        for curve in &self.curves {
            let points: Vec<_> = curve.points.iter().filter_map(finite).collect();
            let places: Vec<_> =
                reduced(&points).into_iter().map(|(x, y)| (across.place(x), down.place(y))).collect();
            let class = format!("curve run{} dash{}", curve.run % RUNS, curve.dash % DASHES);
            let name = escaped(&curve.name);
            match &places[..] {
                [] => {}
                [(x, y)] => {
                    let _ = write!(
                        svg,
                        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{name}</title></circle>"
                    );
                }
                places => {
                    let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                    let line = line.join(" ");
                    let _ = write!(
                        svg,
                        "<polyline class=\"{class}\" points=\"{line}\"><title>{name}</title></polyline>"
                    );
                }
            }
        }
        svg + "</svg>"
    }
}

fn draw_axes(svg: &mut String, across: &Axis, down: &Axis) {
    let [width, height] = SIZE;
    let (left, right, bottom) = (LEFT, width - RIGHT, height - BOTTOM);
    for tick in down.ticks() {
        let (y, label) = (down.place(tick), number(tick));
        let (beside, below) = (left - 6., y + 4.);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{beside}\" y=\"{below:.1}\" text-anchor=\"end\">{label}</text>"
        );
    }
    for tick in across.ticks() {
        let (x, label, below) = (across.place(tick), number(tick), bottom + 16.);
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>");
    }
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text x=\"{right}\" y=\"{}\" text-anchor=\"end\">step</text>",
        height - 4.
    );
}

/// Number of colours and of dashes in the style sheet.
pub(crate) const RUNS: usize = 8;
const DASHES: usize = 4;

/// Values along a side of a chart.
struct Axis {
    low: f64,
    high: f64,
    /// Places of `low` and `high`.
    ends: [f64; 2],
    is_logarithmic: bool,
}

impl Axis {
    /// Covers `values`, and some space around them if `has_margin`.
    fn new(values: impl Iterator<Item = f64>, ends: [f64; 2], has_margin: bool) -> Self {
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

    fn place(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.ends[0] + share * (self.ends[1] - self.ends[0])
    }

    /// Round values within the axis.
    fn ticks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            let [first, last] = [self.low.log10().ceil() as i32, self.high.log10().floor() as i32];
            let every = ((last - first) / 6 + 1).max(1) as usize;
            return (first..=last).step_by(every).map(|decade| 10f64.powi(decade)).collect();
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

/// At most [`POINTS`] points: of neighbours, the smallest and the largest, in the order of the steps.
fn reduced(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let of_chunk = |chunk: &[(f64, f64)]| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [chunk.iter().min_by(by_value), chunk.iter().max_by(by_value)];
        let mut ends: Vec<_> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    points.chunks(points.len().div_ceil(POINTS / 2)).flat_map(of_chunk).collect()
}

/// Text in an attribute or an element.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
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

    #[test]
    fn long_curves_keep_their_peaks() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|step| (f64::from(step), 1.)).collect();
        points[5003].1 = 50.;
        let reduced = reduced(&points);
        assert!(reduced.len() <= POINTS + 2 && reduced.contains(&(5003., 50.)));
        assert!(reduced.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn a_chart_is_well_formed_whatever_it_shows() {
        let curve = |points: &[(f64, f64)]| Curve {
            name: "<a> & \"b\"".into(),
            run: 9,
            dash: 5,
            points: points.to_vec(),
        };
        let mark = Mark { step: 3, run: 0, text: "frozen <since> 3".into() };
        let chart = Chart {
            title: "Loss".into(),
            note: String::new(),
            always: &[0.],
            steps: 7.,
            curves: vec![curve(&[(1., 2.), (2., f64::NAN), (3., 4.)]), curve(&[(5., 1.)]), curve(&[])],
            marks: vec![mark],
        };
        let svg = chart.svg();
        assert!(svg.contains("&lt;a&gt; &amp; &quot;b&quot;") && svg.contains("frozen &lt;since&gt; 3"));
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(!svg.contains("NaN") && svg.ends_with("</svg>"));
        assert!(!chart.is_empty() && Chart { curves: vec![curve(&[(1., f64::NAN)])], ..chart }.is_empty());
    }
}
