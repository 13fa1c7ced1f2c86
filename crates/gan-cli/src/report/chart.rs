//! Curves as SVG, which needs no script. Colours come from the page's style sheet.

mod axis;

use axis::Axis;
pub(crate) use axis::number;
use std::fmt::Write as _;

/// Size of a chart, and the space for its axes, in the units of its view box.
const SIZE: [f64; 2] = [560., 260.];
const LEFT: f64 = 58.;
const RIGHT: f64 = 24.;
const TOP: f64 = 12.;
const BOTTOM: f64 = 34.;
/// Number of points of a curve from which it is reduced to the smallest and the largest of neighbours.
const POINTS: usize = 600;

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
    /// Whether the run went back to this step. Otherwise it is a verdict.
    pub(crate) is_rollback: bool,
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
        draw_marks(&mut svg, &self.marks, &across);
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

/// Draws a triangle for each mark: for a verdict it points down, for a rollback to the left. Marks of a run at
/// nearly the same place share one triangle. Triangles of other runs stand below it.
fn draw_marks(svg: &mut String, marks: &[Mark], across: &Axis) {
    /// Width of a triangle.
    const WIDTH: f64 = 12.;
    let mut drawn: Vec<(&Mark, f64, f64, Vec<&str>)> = vec![];
    for mark in marks {
        let x = across.place(mark.step as f64);
        let is_near = |other: f64| (x - other).abs() < WIDTH;
        let same = |(other, at, ..): &&mut (&Mark, f64, f64, Vec<&str>)| {
            other.run == mark.run && other.is_rollback == mark.is_rollback && is_near(*at)
        };
        if let Some((.., texts)) = drawn.iter_mut().find(same) {
            texts.push(&mark.text);
            continue;
        }
        let above = drawn.iter().filter(|(_, at, ..)| is_near(*at)).count();
        drawn.push((mark, x, TOP + WIDTH * above as f64, vec![&mark.text]));
    }
    for (mark, x, y, texts) in drawn {
        let (bottom, run, text) = (SIZE[1] - BOTTOM, mark.run % RUNS, escaped(&texts.join("\n")));
        let [left, right, upper, lower] = [x - 6., x + 6., y - 5., y + 6.];
        let shape = if mark.is_rollback {
            format!("M{right:.1} {upper}V{lower}L{left:.1} {:.1}Z", f64::midpoint(upper, lower))
        } else {
            format!("M{left:.1} {upper}H{right:.1}L{x:.1} {lower}Z")
        };
        let _ = write!(
            svg,
            "<g class=\"mark run{run}\"><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <path d=\"{shape}\"><title>{text}</title></path></g>"
        );
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
        let mark = Mark { step: 3, run: 0, text: "frozen <since> 3".into(), is_rollback: false };
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
