//! The forward products and input gradients, and the transform of their weights.

use super::combine::{Grid, Outputs, combine};
use super::{Input, KERNEL, Span, Way, pairs, terms, transformed};
use crate::geometry::{Geometry, Image};
use crate::kernels::conv::Weighted;
use crate::kernels::finish::{Finish, Results, finish};
use crate::kernels::micro::{Block, Run};
use crate::kernels::simd::{Isa, dispatch};
use crate::kernels::{Buffer, Shared, padded, pool};

/// Channels of the result in one task. The task's data for them stay in a second-level cache of
/// one megabyte.
const ROWS: usize = 128;

/// Samples in one task. This is the widest tile of the inner loop.
const COLUMNS: usize = 64;

/// Computes [`super::super::conv::down`] with weights from [`transform_down`].
pub(crate) fn down(product: Weighted<'_>, big: &[f32], small: &mut [f32], end: Finish<'_>) {
    let Weighted { isa, geometry: g, batch, weights } = product;
    assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
    let job = Job { way: Way::Down, g, batch, weights, from: g.big, to: g.small, input: big };
    job.run(isa, small, end);
}

/// Computes [`super::super::conv::up`] with weights from [`transform_up`].
pub(crate) fn up(product: Weighted<'_>, small: &[f32], big: &mut [f32], end: Finish<'_>) {
    let Weighted { isa, geometry: g, batch, weights } = product;
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

/// The work of one task: some channels and some samples of one tile, for one phase of the output.
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
                let terms = terms(self.source(), tile, [i, j], phase, column);
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
            // SAFETY: A was cut to its extent. B has `depth` rows and C `rows` rows of `wide`
            // floats.
            unsafe { dispatch(isa, block) };
        }
        let mut outputs = [[0; 3]; 3];
        for (r, c) in (0..tile[0].size).flat_map(|r| (0..tile[1].size).map(move |c| (r, c))) {
            let y = self.way.output(tile[0].start + r, phase[0]);
            let x = self.way.output(tile[1].start + c, phase[1]);
            outputs[r][c] = ((y * self.to.width + x) * self.to.channels + channel) * lanes + column;
        }
        let sizes = tile.map(|span| span.size);
        // SAFETY: `points` has 16 blocks of `rows * wide` floats. Pixels, channels and columns are
        // within the output, and tasks differ in at least one of them.
        unsafe {
            dispatch(
                isa,
                Outputs { points: &points, rows, vectors, sizes, out: out.0, starts: outputs, row: lanes },
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

    fn source(&self) -> Input<'_> {
        Input { way: self.way, from: self.from, values: self.input, batch: self.batch }
    }

    fn phases_in(&self) -> &'static [[usize; 2]] {
        match self.way {
            Way::Down => &[[0, 0], [0, 1], [1, 0], [1, 1]],
            Way::Up => &[[0, 0]],
        }
    }
}

/// Transforms weights from the order of [`super::super::layout::pack_down`] to
/// `[point][A][phase][B]`.
pub(crate) fn transform_down(isa: Isa, g: &Geometry, packed: &[f32], out: &mut [f32]) {
    assert_eq!((packed.len(), out.len()), (g.weights(), transformed(g)));
    let (a, b) = (g.small.channels, g.big.channels);
    let shared = Shared::new(out);
    pool::for_each(a, |row| {
        let taps = &packed[row * 16 * b..][..16 * b];
        for (point, phase) in (0..16).flat_map(|point| (0..4).map(move |phase| (point, phase))) {
            let [py, px] = [phase / 2, phase % 2];
            let tap = |ty: usize, tx: usize| &taps[((py + 2 * ty) * 4 + px + 2 * tx) * b..][..b];
            // SAFETY: the range is inside `out`; tasks differ in the row.
            let out = unsafe { shared.slice(((point * a + row) * 4 + phase) * b, b) };
            transform(isa, point, tap, out);
        }
    });
}

/// Transforms weights from the order of [`super::super::layout::pack_up`] to
/// `[phase][point][B][A]`.
pub(crate) fn transform_up(isa: Isa, g: &Geometry, packed: &[f32], out: &mut [f32]) {
    assert_eq!((packed.len(), out.len()), (g.weights(), transformed(g)));
    let (a, b) = (g.small.channels, g.big.channels);
    let shared = Shared::new(out);
    pool::for_each(b, |row| {
        for (phase, point) in (0..4).flat_map(|phase| (0..16).map(move |point| (phase, point))) {
            let taps = &packed[(phase * b + row) * 4 * a..][..4 * a];
            // SAFETY: the range is inside `out`; tasks differ in the row.
            let out = unsafe { shared.slice(((phase * 16 + point) * b + row) * a, a) };
            transform(isa, point, |ty, tx| &taps[(2 * ty + tx) * a..][..a], out);
        }
    });
}

/// Computes one point of a 2x2 kernel.
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
