//! The products of a convolution and of its transpose.
//!
//! A convolution computes a `small` image from a `big` one. Its transpose computes a big image
//! from a small one with the same weights, and each is the gradient of the other. So two products
//! are enough, together with [`super::conv_weights`] for the gradient of the weights. [`down`] is
//! the forward pass of a convolution and the input gradient of a transposed convolution. [`up`] is
//! the input gradient of a convolution and the forward pass of a transposed one. A fully connected
//! layer is a convolution between images of one pixel.

use super::finish::{Finish, Results, finish};
use super::micro::{Block, Run};
use super::simd::{Isa, dispatch};
use super::{Shared, padded, pool};
use crate::geometry::{Geometry, Image};
use std::ops::Range;

impl Image {
    /// Number of floats of a padded batch.
    pub(crate) fn len(self, batch: usize) -> usize {
        self.pixels() * self.channels * padded(batch)
    }
}

impl Geometry {
    /// Number of floats of the weights.
    pub(crate) fn weights(&self) -> usize {
        self.small.channels * self.big.channels * self.taps()
    }

    /// Number of places of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether [`up`] can use the weights as they are, column by column.
    pub(crate) fn is_linear(&self) -> bool {
        self.taps() == 1
    }

    /// Returns the taps of one axis (0: vertical) that fall on the big image from position `at` of
    /// the small image. Also returns the position in the big image of the first of these taps.
    pub(super) fn taps_within(&self, axis: usize, at: usize) -> (Range<usize>, usize) {
        let size = [self.big.height, self.big.width][axis];
        let padding = self.padding[axis];
        let first = padding.saturating_sub(at * self.stride);
        let end = (size + padding).saturating_sub(at * self.stride).min(self.kernel[axis]);
        (first..end.max(first), (at * self.stride + first).saturating_sub(padding))
    }

    /// Number of taps of one axis with the remainder `phase` modulo the stride.
    pub(super) fn phase_taps(&self, axis: usize, phase: usize) -> usize {
        self.kernel[axis].saturating_sub(phase).div_ceil(self.stride)
    }

    /// Start of the weights of a phase in the layout of [`up`], which stores phases row by row.
    pub(super) fn phase_start(&self, [y, x]: [usize; 2]) -> usize {
        let rows = |phases: usize| (0..phases).map(|p| self.phase_taps(0, p)).sum::<usize>();
        let columns = |phases: usize| (0..phases).map(|p| self.phase_taps(1, p)).sum::<usize>();
        let taps = rows(y) * columns(self.stride) + self.phase_taps(0, y) * columns(x);
        taps * self.big.channels * self.small.channels
    }

    /// Returns three facts about position `at` on one axis of the big image: its phase, the taps
    /// of that phase that fall on the small image (in the order of [`up`]'s layout), and the
    /// position in the small image of the first of these taps.
    fn phase_within(&self, axis: usize, at: usize) -> (usize, Range<usize>, usize) {
        let size = [self.small.height, self.small.width][axis];
        let padding = self.padding[axis];
        let phase = (at + padding) % self.stride;
        let taps = self.phase_taps(axis, phase);
        // Tap t falls on `whole + 1 + t - taps`.
        let whole = (at + padding) / self.stride;
        let first = taps.saturating_sub(whole + 1);
        let end = (size + taps).saturating_sub(whole + 1).min(taps);
        (phase, first..end.max(first), (whole + 1 + first).saturating_sub(taps))
    }
}

/// Floats of B that one pass over the rows of A reads. They stay in a second-level cache beside A
/// and C. Such short sums also round less: a sum of at most 512 products loses less than a sum of
/// thousands.
const PANEL: usize = 512 * COLUMNS;

/// Samples in one task. This is the widest tile.
const COLUMNS: usize = 64;

/// A product with weights over a batch, by one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Weighted<'a> {
    pub(crate) isa: Isa,
    pub(crate) geometry: &'a Geometry,
    pub(crate) batch: usize,
    /// The weights in the order that the function asks for.
    pub(crate) weights: &'a [f32],
}

/// Computes the small image:
///
/// ```text
/// small[p][a] = finish(sum of weights[a][tap][b] * big[p * stride - padding + tap][b])
///               over b and the taps
/// ```
///
/// `weights: [A][kh][kw][B]`, `big: [H][W][B][N]`, `small: [h][w][A][N]`.
pub(crate) fn down(product: Weighted<'_>, big: &[f32], small: &mut [f32], end: Finish<'_>) {
    let Weighted { isa, geometry: g, batch, weights } = product;
    assert_eq!(weights.len(), g.weights());
    assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
    let channels = g.big.channels;
    let row =
        Rows { out: g.small, inputs: channels, weights, a_row: g.taps() * channels, a_col: 1, input: big };
    each_pixel(isa, batch, row, small, end, |pixel| {
        let (y, x) = (pixel / g.small.width, pixel % g.small.width);
        let (rows, top) = g.taps_within(0, y);
        let (columns, left) = g.taps_within(1, x);
        let run = |ky: usize| Run {
            a: (ky * g.kernel[1] + columns.start) * channels,
            b: (top + ky - rows.start) * g.big.width + left,
            len: columns.len() * channels,
        };
        (0, rows.clone().map(run).collect())
    });
}

/// Computes the big image:
///
/// ```text
/// big[q][b] = finish(sum of weights[a][b][tap] * small[p][a])
///             over a, and the taps and p with p * stride - padding + tap = q
/// ```
///
/// `weights`: `[A][B]` for a linear layer, else in the order of [`super::layout::pack_up`].
/// `small: [h][w][A][N]`, `big: [H][W][B][N]`.
pub(crate) fn up(product: Weighted<'_>, small: &[f32], big: &mut [f32], end: Finish<'_>) {
    let Weighted { isa, geometry: g, batch, weights } = product;
    assert_eq!(weights.len(), g.weights());
    assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
    let channels = g.small.channels;
    let (a_row, a_col) = if g.is_linear() { (1, g.big.channels) } else { (0, 1) };
    let rows = Rows { out: g.big, inputs: channels, weights, a_row, a_col, input: small };
    each_pixel(isa, batch, rows, big, end, |pixel| {
        let (phase_y, rows, top) = g.phase_within(0, pixel / g.big.width);
        let (phase_x, columns, left) = g.phase_within(1, pixel % g.big.width);
        let start = if g.is_linear() { 0 } else { g.phase_start([phase_y, phase_x]) };
        let wide = g.phase_taps(1, phase_x);
        let run = |ty: usize| Run {
            a: start + (ty * wide + columns.start) * channels,
            b: (top + ty - rows.start) * g.small.width + left,
            len: columns.len() * channels,
        };
        (g.phase_taps(0, phase_y) * wide * channels, rows.clone().map(run).collect())
    });
}

/// The operands of [`each_pixel`]: one row of weights for each channel of the output.
#[derive(Clone, Copy)]
struct Rows<'a> {
    out: Image,
    /// Channels of the input.
    inputs: usize,
    weights: &'a [f32],
    /// Floats from one row of the weights to the next. It is 0 if the distance depends on the
    /// pixel.
    a_row: usize,
    a_col: usize,
    input: &'a [f32],
}

/// Computes all channels of each output pixel from the runs that `runs_of` names. The `b` of a run
/// counts pixels of the input. `runs_of` also returns the distance between two rows of weights if
/// it depends on the pixel.
fn each_pixel(
    isa: Isa,
    batch: usize,
    rows: Rows<'_>,
    out: &mut [f32],
    end: Finish<'_>,
    runs_of: impl Fn(usize) -> (usize, Vec<Run>) + Sync,
) {
    let lanes = padded(batch);
    let (pixels, channels) = (rows.out.pixels(), rows.out.channels);
    // Few pixels would leave threads without work. Then the channels are divided too, in whole
    // tiles of rows.
    let height = channels.div_ceil(16usize.div_ceil(pixels)).next_multiple_of(12);
    let (parts, slices) = (channels.div_ceil(height), lanes.div_ceil(COLUMNS));
    let shared = Shared::new(out);
    pool::for_each(pixels * parts * slices, |task| {
        let (pixel, part, slice) = (task / (parts * slices), task / slices % parts, task % slices);
        let (channel, column) = (part * height, slice * COLUMNS);
        let (height, wide) = (height.min(channels - channel), COLUMNS.min(lanes - column));
        let (a_row, runs) = runs_of(pixel);
        let a_row = if rows.a_row > 0 { rows.a_row } else { a_row };
        let at = (pixel * channels + channel) * lanes + column;
        for (i, runs) in panels(&runs, &rows, lanes).enumerate() {
            let last = |r: &Run| r.a + (channel + height - 1) * a_row + (r.len - 1) * rows.a_col;
            assert!(runs.iter().all(|r| last(r) < rows.weights.len()));
            assert!(runs.iter().all(|r| r.b + r.len * lanes <= rows.input.len()));
            let block = Block {
                rows: height,
                vectors: wide / 16,
                runs: &runs,
                a: rows.weights.as_ptr().wrapping_add(channel * a_row),
                a_row,
                a_col: rows.a_col,
                b: rows.input.as_ptr().wrapping_add(column),
                b_row: lanes,
                // SAFETY: the pixel and the channels are within the output, whose length the
                // caller has checked. Tasks differ in the pixel, the channels or the columns.
                c: unsafe { shared.at(at, (height - 1) * lanes + wide) },
                c_row: lanes,
                accumulate: i > 0,
            };
            // SAFETY: the checks above show that A and B are within the weights and the input. For
            // C see above.
            unsafe { dispatch(isa, block) };
        }
        // SAFETY: as above, and this also holds for the results of this task.
        unsafe {
            let values = shared.at(at, (height - 1) * lanes + wide);
            finish(isa, end, Results { at, channel, rows: height, vectors: wide / 16, row: lanes, values });
        }
    });
}

/// Divides `runs`, whose `b` counts pixels, into groups of at most [`PANEL`] floats of B. There is
/// at least one group, and it may be empty.
fn panels(runs: &[Run], rows: &Rows<'_>, lanes: usize) -> impl Iterator<Item = Vec<Run>> {
    let most = PANEL / COLUMNS;
    let mut groups = vec![vec![]];
    let mut room = most;
    for run in runs {
        let mut rest = Run { b: run.b * rows.inputs * lanes, ..*run };
        while rest.len > 0 {
            if room == 0 {
                groups.push(vec![]);
                room = most;
            }
            let len = rest.len.min(room);
            if let Some(group) = groups.last_mut() {
                group.push(Run { len, ..rest });
            }
            rest = Run { a: rest.a + len * rows.a_col, b: rest.b + len * lanes, len: rest.len - len };
            room -= len;
        }
    }
    groups.into_iter()
}
