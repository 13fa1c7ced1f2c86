//! The products of a convolution with kernel 4, stride 2 and padding 1, computed with fewer
//! multiplications.
//!
//! Such a convolution is the sum of four convolutions with kernels of 2x2 and stride 1, one for
//! each phase of the big image (its even or odd rows and columns). Its transpose is four such
//! convolutions side by side. On each axis, Winograd's minimal filtering (Lavin & Gray 2016, arXiv
//! 1509.09308) computes two neighbouring results of a kernel of 2 with 3 multiplications instead
//! of 4, and three results with 4 instead of 6. These are `F(2, 2)` and `F(3, 2)`. An axis is
//! divided into tiles of two and three, so that no result is computed in vain. The transforms only
//! add, subtract and halve. Therefore they lose almost no precision.

mod combine;
mod products;
mod weights;

pub(crate) use products::{down, transform_down, transform_up, up};
pub(super) use weights::{add, fold, sums};

use super::padded;
use crate::geometry::{Geometry, Image};

/// Least number of channels. With fewer, the transforms cost more than they save.
const LEAST_CHANNELS: usize = 32;

/// Largest number of weights. The transformed weights are four times as large. Beyond this limit
/// the saved time is not worth their memory. The limit excludes the layers at the 4x4 end of a
/// DCGAN for 64x64.
const MOST_WEIGHTS: usize = 1 << 20;

/// Whether these kernels can compute this convolution.
pub(crate) fn serves(g: &Geometry) -> bool {
    let doubles = g.big.height == 2 * g.small.height && g.big.width == 2 * g.small.width;
    let large = g.big.channels.min(g.small.channels) >= LEAST_CHANNELS && g.weights() <= MOST_WEIGHTS;
    g.kernel == [4, 4]
        && g.stride == 2
        && g.padding == [1, 1]
        && doubles
        && large
        && g.small.height.min(g.small.width) > 1
}

/// Number of floats of the transformed weights. A 2x2 kernel becomes 4x4 points.
pub(crate) fn transformed(g: &Geometry) -> usize {
    4 * g.weights()
}

/// A linear combination of a few neighbours.
type Terms = &'static [(usize, f32)];

/// The combinations of inputs that the points of a kernel `g0, g1` are multiplied by. The points
/// are `g0`, `g0 + g1`, `g0 - g1` and `g1`. The first row is for tiles of two results, which leave
/// out one point. The second row is for tiles of three.
const INPUT: [[Terms; 4]; 2] = [
    [&[(0, 1.), (1, -1.)], &[(1, 1.)], &[], &[(1, 1.), (2, -1.)]],
    [&[(0, 1.), (2, -1.)], &[(1, 0.5), (2, 0.5)], &[(2, 0.5), (1, -0.5)], &[(3, 1.), (1, -1.)]],
];

/// The points of a kernel.
const KERNEL: [Terms; 4] = [&[(0, 1.)], &[(0, 1.), (1, 1.)], &[(0, 1.), (1, -1.)], &[(1, 1.)]];

/// A tile of one axis.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    /// 2 or 3.
    size: usize,
}

impl Span {
    /// Divides an axis of at least 2 into as many threes as possible.
    fn cut(length: usize) -> Vec<Self> {
        let twos = [0, 2, 1][length % 3];
        let threes = (length - 2 * twos) / 3;
        let three = |i: usize| Self { start: 3 * i, size: 3 };
        let two = |i: usize| Self { start: 3 * threes + 2 * i, size: 2 };
        (0..threes).map(three).chain((0..twos).map(two)).collect()
    }

    fn points(self) -> &'static [usize] {
        if self.size == 2 { &[0, 1, 3] } else { &[0, 1, 2, 3] }
    }

    fn input(self, point: usize) -> Terms {
        INPUT[self.size - 2][point]
    }
}

/// Direction of a product. A phase is the remainder of `position + 1` modulo 2 in the big image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Sums over the four phases of its input.
    Down,
    /// Computes the four phases of its output.
    Up,
}

impl Way {
    /// Returns the position on one axis of the input that position `at` of a tile reads.
    fn input(self, at: usize, phase: usize) -> Option<usize> {
        match self {
            Self::Down => (2 * at + phase).checked_sub(1),
            Self::Up => at.checked_sub(phase),
        }
    }

    /// Returns the position on one axis of the output for position `at` of its phase.
    fn output(self, at: usize, phase: usize) -> usize {
        match self {
            Self::Down => at,
            Self::Up => 2 * at + 1 - phase,
        }
    }
}

/// Maps that a product reads.
#[derive(Clone, Copy)]
struct Input<'a> {
    way: Way,
    from: Image,
    values: &'a [f32],
    batch: usize,
}

/// The pixels of the input that make up one point of a tile, from sample `column` on, each with
/// its factor. Pixels outside the image are zero.
fn terms(
    Input { way, from, values, batch }: Input<'_>,
    tile: [Span; 2],
    point: [usize; 2],
    phase: [usize; 2],
    column: usize,
) -> Vec<(&[f32], f32)> {
    let lanes = padded(batch);
    let mut terms = vec![];
    for &(r, factor_y) in tile[0].input(point[0]) {
        for &(c, factor_x) in tile[1].input(point[1]) {
            let y = way.input(tile[0].start + r, phase[0]).filter(|&y| y < from.height);
            let x = way.input(tile[1].start + c, phase[1]).filter(|&x| x < from.width);
            if let (Some(y), Some(x)) = (y, x) {
                let at = (y * from.width + x) * from.channels * lanes;
                terms.push((&values[at + column..at + from.channels * lanes], factor_y * factor_x));
            }
        }
    }
    terms
}

/// The points of a tile.
fn pairs(tile: [Span; 2]) -> impl Iterator<Item = (usize, usize)> {
    tile[0].points().iter().flat_map(move |&i| tile[1].points().iter().map(move |&j| (i, j)))
}
