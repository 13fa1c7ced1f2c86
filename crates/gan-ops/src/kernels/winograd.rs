//! The products of a convolution with kernel 4, stride 2 and padding 1, with fewer multiplications.
//!
//! Such a convolution is the sum of four, one for each phase of the big image (its even or odd rows and columns), with
//! kernels of 2x2 and stride 1; its transpose is four such convolutions side by side. Winograd's minimal filtering
//! (Lavin & Gray 2016, arXiv 1509.09308) computes two neighbouring results of a kernel of 2 with 3 multiplications instead
//! of 4, three with 4 instead of 6, on each axis: `F(2, 2)` and `F(3, 2)`. An axis is cut into such tiles, so that no result
//! is computed in vain. The transforms only add, subtract and halve, and lose next to no precision.

use super::conv::{Geometry, Image};
use super::finish::{Finish, Results, finish};
use super::micro::{Block, Run};
use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Buffer, Shared, padded, pool};

/// Below this, transforms cost more than they save.
const LEAST_CHANNELS: usize = 32;

/// Beyond this, the transformed weights, four times as large as the weights, take more memory than the time is worth:
/// the layers at the 4x4 end of a DCGAN for 64x64.
const MOST_WEIGHTS: usize = 1 << 20;

/// Channels of the result that one task takes: what it keeps of them stays in a second-level cache of a megabyte.
const ROWS: usize = 128;

/// Samples that one task takes: the widest tile of the inner loop.
const COLUMNS: usize = 64;

/// Whether these kernels serve.
pub(crate) fn serves(g: &Geometry) -> bool {
    let doubles = g.big.height == 2 * g.small.height && g.big.width == 2 * g.small.width;
    let large = g.big.channels.min(g.small.channels) >= LEAST_CHANNELS && g.weights() <= MOST_WEIGHTS;
    g.kernel == [4, 4]
        && g.stride == 2
        && g.padding == 1
        && doubles
        && large
        && g.small.height.min(g.small.width) > 1
}

/// Floats of the transformed weights: a 2x2 kernel becomes 4x4 points.
pub(crate) fn transformed(g: &Geometry) -> usize {
    4 * g.weights()
}

/// A linear combination of at most two of a few neighbours.
type Terms = &'static [(usize, f32)];

/// What is multiplied with each point of a kernel `g0, g1`, namely `g0`, `g0 + g1`, `g0 - g1` and `g1`: for tiles of two
/// results (which leave one point out) and of three.
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
    /// Cuts an axis of at least 2 into as many threes as possible.
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

/// Which way a product goes. A phase is the remainder of `position + 1` modulo 2 in the big image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Sums over the four phases of its input.
    Down,
    /// Computes the four phases of its output.
    Up,
}

impl Way {
    /// The position on one axis of the input that `at` of a tile reads.
    fn input(self, at: usize, phase: usize) -> Option<usize> {
        match self {
            Self::Down => (2 * at + phase).checked_sub(1),
            Self::Up => at.checked_sub(phase),
        }
    }

    /// The position on one axis of the output that is `at` of its phase.
    fn output(self, at: usize, phase: usize) -> usize {
        match self {
            Self::Down => at,
            Self::Up => 2 * at + 1 - phase,
        }
    }
}

/// [`super::conv::down`] with weights of [`transform_down`].
pub(crate) fn down(
    isa: Isa,
    g: &Geometry,
    batch: usize,
    weights: &[f32],
    big: &[f32],
    small: &mut [f32],
    end: Finish<'_>,
) {
    assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
    let job = Job { way: Way::Down, g, batch, weights, from: g.big, to: g.small, input: big };
    job.run(isa, small, end);
}

/// [`super::conv::up`] with weights of [`transform_up`].
pub(crate) fn up(
    isa: Isa,
    g: &Geometry,
    batch: usize,
    weights: &[f32],
    small: &[f32],
    big: &mut [f32],
    end: Finish<'_>,
) {
    assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
    let job = Job { way: Way::Up, g, batch, weights, from: g.small, to: g.big, input: small };
    job.run(isa, big, end);
}

#[derive(Clone, Copy)]
struct Job<'a> {
    way: Way,
    g: &'a Geometry,
    batch: usize,
    weights: &'a [f32],
    from: Image,
    to: Image,
    input: &'a [f32],
}

/// What one task computes: a tile of one phase of the output, some of its channels, some of the samples.
#[derive(Clone, Copy)]
struct Part {
    phase: [usize; 2],
    tile: [Span; 2],
    channel: usize,
    rows: usize,
    column: usize,
    vectors: usize,
}

impl Job<'_> {
    fn run(self, isa: Isa, out: &mut [f32], end: Finish<'_>) {
        assert_eq!(self.weights.len(), transformed(self.g));
        let lanes = padded(self.batch);
        let [rows, columns] = [self.g.small.height, self.g.small.width].map(Span::cut);
        let phases: &[[usize; 2]] = match self.way {
            Way::Down => &[[0, 0]],
            Way::Up => &[[0, 0], [0, 1], [1, 0], [1, 1]],
        };
        let tiles: Vec<_> = rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
        let mut parts = vec![];
        for (&tile, &phase) in tiles.iter().flat_map(|tile| phases.iter().map(move |phase| (tile, phase))) {
            for channel in (0..self.to.channels).step_by(ROWS) {
                for column in (0..lanes).step_by(COLUMNS) {
                    let rows = ROWS.min(self.to.channels - channel);
                    let vectors = COLUMNS.min(lanes - column) / 16;
                    parts.push(Part { phase, tile, channel, rows, column, vectors });
                }
            }
        }
        let out = Shared::new(out);
        pool::for_each(parts.len(), |i| self.part(isa, parts[i], out, end));
    }

    fn part(&self, isa: Isa, part: Part, out: Shared, end: Finish<'_>) {
        let Part { phase, tile, channel, rows, column, vectors } = part;
        let (lanes, wide) = (padded(self.batch), 16 * vectors);
        let depth = self.phases_in().len() * self.from.channels;
        let mut panel = Buffer::new(depth * wide);
        let mut points = Buffer::new(16 * rows * wide);
        for (i, j) in pairs(tile) {
            for (p, phase_in) in self.phases_in().iter().enumerate() {
                let phase = if self.way == Way::Down { *phase_in } else { phase };
                let terms = self.terms(tile, [i, j], phase, column);
                let panel = &mut panel[p * self.from.channels * wide..][..self.from.channels * wide];
                combine(isa, &terms, Grid { rows: self.from.channels, vectors, src_row: lanes }, panel);
            }
            let kernel = match self.way {
                Way::Down => 4 * i + j,
                Way::Up => 16 * (2 * phase[0] + phase[1]) + 4 * i + j,
            };
            let first = (kernel * self.to.channels + channel) * depth;
            let block = Block {
                rows,
                vectors,
                runs: &[Run { a: 0, b: 0, len: depth }],
                a: self.weights[first..first + rows * depth].as_ptr(),
                a_row: depth,
                a_col: 1,
                b: panel.as_ptr(),
                b_row: wide,
                c: points[(4 * i + j) * rows * wide..][..rows * wide].as_mut_ptr(),
                c_row: wide,
                accumulate: false,
            };
            // SAFETY: A was cut to its extent; B is `depth` rows and C `rows` rows of `wide` floats.
            unsafe { dispatch(isa, block) };
        }
        let mut outputs = [[0; 3]; 3];
        for (r, c) in (0..tile[0].size).flat_map(|r| (0..tile[1].size).map(move |c| (r, c))) {
            let y = self.way.output(tile[0].start + r, phase[0]);
            let x = self.way.output(tile[1].start + c, phase[1]);
            outputs[r][c] = ((y * self.to.width + x) * self.to.channels + channel) * lanes + column;
        }
        let sizes = tile.map(|span| span.size);
        // SAFETY: `points` has 16 blocks of `rows * wide` floats; pixels, channels and columns lie within the output, and
        // tasks differ in at least one of them.
        unsafe {
            dispatch(
                isa,
                Results4 { points: &points, rows, vectors, sizes, out: out.0, outputs, row: lanes },
            );
        };
        for at in outputs.iter().take(sizes[0]).flat_map(|row| &row[..sizes[1]]).copied() {
            // SAFETY: as above.
            unsafe {
                let values = out.at(at, (rows - 1) * lanes + wide);
                finish(isa, end, Results { at, channel, rows, vectors, row: lanes, values });
            }
        }
    }

    fn phases_in(&self) -> &'static [[usize; 2]] {
        match self.way {
            Way::Down => &[[0, 0], [0, 1], [1, 0], [1, 1]],
            Way::Up => &[[0, 0]],
        }
    }

    /// The pixels of the input, each with its factor, that make up one point of a tile; those outside are zero.
    fn terms(
        &self,
        tile: [Span; 2],
        point: [usize; 2],
        phase: [usize; 2],
        column: usize,
    ) -> Vec<(&[f32], f32)> {
        let lanes = padded(self.batch);
        let len = (self.from.channels - 1) * lanes + COLUMNS.min(lanes - column);
        let mut terms = vec![];
        for &(r, factor_y) in tile[0].input(point[0]) {
            for &(c, factor_x) in tile[1].input(point[1]) {
                let y = self.way.input(tile[0].start + r, phase[0]).filter(|&y| y < self.from.height);
                let x = self.way.input(tile[1].start + c, phase[1]).filter(|&x| x < self.from.width);
                if let (Some(y), Some(x)) = (y, x) {
                    let at = (y * self.from.width + x) * self.from.channels * lanes + column;
                    terms.push((&self.input[at..at + len], factor_y * factor_x));
                }
            }
        }
        terms
    }
}

/// The points of a tile.
fn pairs(tile: [Span; 2]) -> impl Iterator<Item = (usize, usize)> {
    tile[0].points().iter().flat_map(move |&i| tile[1].points().iter().map(move |&j| (i, j)))
}

/// Weights in the order of [`super::layout::pack_down`], transformed: `[point][A][phase][B]`.
pub(crate) fn transform_down(isa: Isa, g: &Geometry, packed: &[f32], out: &mut [f32]) {
    assert_eq!((packed.len(), out.len()), (g.weights(), transformed(g)));
    let (a, b) = (g.small.channels, g.big.channels);
    let shared = Shared::new(out);
    pool::for_each(a, |row| {
        let taps = &packed[row * 16 * b..][..16 * b];
        for (point, phase) in (0..16).flat_map(|point| (0..4).map(move |phase| (point, phase))) {
            let [py, px] = [phase / 2, phase % 2];
            let tap = |ty: usize, tx: usize| &taps[((py + 2 * ty) * 4 + px + 2 * tx) * b..][..b];
            // SAFETY: in range; tasks differ in the row.
            let out = unsafe { shared.slice(((point * a + row) * 4 + phase) * b, b) };
            transform(isa, point, tap, out);
        }
    });
}

/// Weights in the order of [`super::layout::pack_up`], transformed: `[phase][point][B][A]`.
pub(crate) fn transform_up(isa: Isa, g: &Geometry, packed: &[f32], out: &mut [f32]) {
    assert_eq!((packed.len(), out.len()), (g.weights(), transformed(g)));
    let (a, b) = (g.small.channels, g.big.channels);
    let shared = Shared::new(out);
    pool::for_each(b, |row| {
        for (phase, point) in (0..4).flat_map(|phase| (0..16).map(move |point| (phase, point))) {
            let taps = &packed[(phase * b + row) * 4 * a..][..4 * a];
            // SAFETY: in range; tasks differ in the row.
            let out = unsafe { shared.slice(((phase * 16 + point) * b + row) * a, a) };
            transform(isa, point, |ty, tx| &taps[(2 * ty + tx) * a..][..a], out);
        }
    });
}

/// One point of a 2x2 kernel.
fn transform<'a>(isa: Isa, point: usize, tap: impl Fn(usize, usize) -> &'a [f32], out: &mut [f32]) {
    let mut terms = vec![];
    for &(ty, factor_y) in KERNEL[point / 4] {
        for &(tx, factor_x) in KERNEL[point % 4] {
            terms.push((tap(ty, tx), factor_y * factor_x));
        }
    }
    let whole = out.len() / 16 * 16;
    combine(isa, &terms, Grid { rows: 1, vectors: whole / 16, src_row: whole }, &mut out[..whole]);
    for i in whole..out.len() {
        out[i] = terms.iter().map(|(tap, factor)| tap[i] * factor).sum();
    }
}

/// Rows of vectors of sixteen; those of a source lie `src_row` floats apart.
#[derive(Clone, Copy)]
struct Grid {
    rows: usize,
    vectors: usize,
    src_row: usize,
}

/// `out = sum of factor * source` for at most four sources.
fn combine(isa: Isa, terms: &[(&[f32], f32)], grid: Grid, out: &mut [f32]) {
    let Grid { rows, vectors, src_row } = grid;
    if rows * vectors == 0 {
        return;
    }
    assert!(out.len() == rows * 16 * vectors && terms.len() <= 4);
    assert!(terms.iter().all(|(source, _)| source.len() >= (rows - 1) * src_row + 16 * vectors));
    // SAFETY: the extents were checked.
    unsafe { dispatch(isa, Combine { terms, grid, out }) }
}

struct Combine<'a> {
    terms: &'a [(&'a [f32], f32)],
    grid: Grid,
    out: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    type Output = ();

    /// # Safety
    /// Beside the instructions: sources and output have the extent of the grid; at most four sources.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: what the caller vouches for.
        unsafe {
            match self.terms.len() {
                0 => self.out.fill(0.),
                1 => self.sum::<V, 1>(),
                2 => self.sum::<V, 2>(),
                3 => self.sum::<V, 3>(),
                _ => self.sum::<V, 4>(),
            }
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    unsafe fn sum<V: Lanes, const T: usize>(self) {
        let Grid { rows, vectors, src_row } = self.grid;
        let out = self.out.as_mut_ptr();
        // SAFETY: what the caller of `run` vouches for.
        unsafe {
            let mut factors = [V::splat(0.); T];
            let mut sources = [std::ptr::null(); T];
            for t in 0..T {
                factors[t] = V::splat(self.terms[t].1);
                sources[t] = self.terms[t].0.as_ptr();
            }
            for r in 0..rows {
                for v in 0..vectors {
                    let mut sum = V::load(sources[0].add(r * src_row + 16 * v)).mul(factors[0]);
                    for t in 1..T {
                        sum = V::load(sources[t].add(r * src_row + 16 * v)).mul_add(factors[t], sum);
                    }
                    sum.store(out.add((r * vectors + v) * 16));
                }
            }
        }
    }
}

/// From the 16 points of a tile (`[rows][16 * vectors]` each) to its results.
struct Results4<'a> {
    points: &'a [f32],
    rows: usize,
    vectors: usize,
    sizes: [usize; 2],
    out: *mut f32,
    /// Where each result begins.
    outputs: [[usize; 3]; 3],
    /// Floats from one row of a result to the next.
    row: usize,
}

impl Kernel for Results4<'_> {
    type Output = ();

    /// # Safety
    /// Beside the instructions: points and outputs have the extents said above, and nobody else touches the outputs.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let block = self.rows * self.vectors * 16;
        for r in 0..self.rows {
            for v in 0..self.vectors {
                // SAFETY: what the caller vouches for.
                unsafe {
                    let at = (r * self.vectors + v) * 16;
                    let zero = V::splat(0.);
                    // Along the first axis, then along the second.
                    let mut half = [[zero; 4]; 3];
                    for j in 0..4 {
                        let mut column = [zero; 4];
                        for i in 0..4 {
                            if present(self.sizes, i, j) {
                                column[i] = V::load(self.points.as_ptr().add((4 * i + j) * block + at));
                            }
                        }
                        let results = results(column, self.sizes[0]);
                        for i in 0..3 {
                            half[i][j] = results[i];
                        }
                    }
                    for i in 0..self.sizes[0] {
                        let results = results(half[i], self.sizes[1]);
                        for j in 0..self.sizes[1] {
                            results[j].store(self.out.add(self.outputs[i][j] + r * self.row + 16 * v));
                        }
                    }
                }
            }
        }
    }
}

/// Whether a tile has this point: one of two results leaves out the third.
#[inline(always)]
fn present(sizes: [usize; 2], i: usize, j: usize) -> bool {
    (sizes[0] == 3 || i != 2) && (sizes[1] == 3 || j != 2)
}

/// Results of one axis from its four points.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn results<V: Lanes>(p: [V; 4], size: usize) -> [V; 3] {
    // SAFETY: what the caller vouches for.
    unsafe {
        if size == 2 {
            return [p[0].add(p[1]), p[1].sub(p[3]), p[3]];
        }
        let (sum, difference) = (p[1].add(p[2]), p[1].sub(p[2]));
        [p[0].add(sum), difference, sum.add(p[3])]
    }
}
