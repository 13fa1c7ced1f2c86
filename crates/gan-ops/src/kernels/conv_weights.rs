//! The gradient of a convolution's weights.

use super::micro::{Block, Run};
use super::simd::{Isa, dispatch};
use super::{Buffer, Shared, layout, padded, pool, winograd};
use crate::geometry::{Geometry, Image};
use std::ops::Range;

/// The gradient of one layer's weights, summed over the batches so far. Its order is the one in
/// which the kernel computes it: `[taps][rows][columns]` with the columns padded to whole vectors,
/// or the order of [`winograd::sums`].
#[derive(Debug)]
pub(crate) struct WeightGradient {
    geometry: Geometry,
    rows: Side,
    columns: Side,
    sums: Buffer,
    /// Whether `sums` holds values yet.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Small,
    Big,
}

/// Floats of the transposed columns that one pass over the rows reads. They take a quarter of a
/// second-level cache of one megabyte.
const PANEL: usize = 64 * 1024;

/// Columns in one task. This is the widest tile.
const COLUMNS: usize = 64;

impl WeightGradient {
    pub(crate) fn new(geometry: Geometry) -> Self {
        // For a linear layer, this choice makes the sums the gradient in the order in which the
        // weights are stored. For other layers, the side with more channels fills the vectors.
        let small_rows = geometry.is_linear() || geometry.small.channels < geometry.big.channels;
        let (rows, columns) = if small_rows { (Side::Small, Side::Big) } else { (Side::Big, Side::Small) };
        let mut gradient = Self { geometry, rows, columns, sums: Buffer::default(), begun: false };
        gradient.sums = Buffer::new(gradient.length());
        gradient
    }

    /// Whether the gradient is computed by Winograd's filtering. With fewer than 64 pixels the
    /// transforms cost more than they save, because the transformed gradient is four times as
    /// large as the weights.
    fn is_winograd(&self) -> bool {
        winograd::serves(&self.geometry) && self.rows == Side::Big && self.geometry.small.pixels() >= 64
    }

    /// Number of floats of the sums.
    fn length(&self) -> usize {
        if self.is_winograd() {
            return winograd::sums(&self.geometry);
        }
        self.geometry.taps() * self.image(self.rows).channels * padded(self.image(self.columns).channels)
    }

    fn image(&self, side: Side) -> Image {
        match side {
            Side::Small => self.geometry.small,
            Side::Big => self.geometry.big,
        }
    }

    /// Adds to the gradient, for each a, b and tap:
    ///
    /// ```text
    /// sum over p and n of small[p][a][n] * big[p * stride - padding + tap][b][n]
    /// ```
    ///
    /// `small: [h][w][A][N]`, `big: [H][W][B][N]`.
    pub(crate) fn add(&mut self, isa: Isa, batch: usize, small: &[f32], big: &[f32]) {
        let g = self.geometry;
        assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
        assert_eq!(self.sums.len(), self.length());
        let (row_maps, column_maps) = if self.rows == Side::Small { (small, big) } else { (big, small) };
        let (rows, columns) = (self.image(self.rows), self.image(self.columns));
        let (lanes, wide) = (padded(batch), padded(columns.channels));
        let mut transposed = Buffer::new(columns.pixels() * lanes * wide);
        layout::samples_first(isa, column_maps, &mut transposed, [batch, columns.channels, columns.pixels()]);

        let begun = std::mem::replace(&mut self.begun, true);
        if self.is_winograd() {
            return winograd::add(isa, &g, batch, [&transposed, big], begun, &mut self.sums);
        }
        // Taps of one row of the kernel are adjacent in the big image. If the big image gives the
        // rows, these taps are computed together.
        let (groups, across) = match self.rows {
            Side::Small => (g.taps(), 1),
            Side::Big => (g.kernel[0], g.kernel[1]),
        };
        let (height, slices) = (across * rows.channels, wide.div_ceil(COLUMNS));
        // This makes enough tasks for a few threads, in whole tiles of rows.
        let part = height.div_ceil(16usize.div_ceil(groups * slices)).next_multiple_of(12);
        let parts = height.div_ceil(part);
        let chunk = (PANEL / (batch * COLUMNS)).max(1);
        let side = self.rows;
        let sums = Shared::new(&mut self.sums);
        pool::for_each(groups * slices * parts, |task| {
            let (group, slice, first) = (task / (slices * parts), task / parts % slices, task % parts * part);
            let (end, column) = (height.min(first + part), slice * COLUMNS);
            let vectors = (wide - column).min(COLUMNS) / 16;
            // SAFETY: the offset is in range; tasks differ in the group, the rows or the columns.
            let c = |row: usize| unsafe { sums.at((group * height + row) * wide + column, 16 * vectors) };
            if !begun {
                for row in first..end {
                    // SAFETY: as above.
                    unsafe { std::slice::from_raw_parts_mut(c(row), 16 * vectors) }.fill(0.);
                }
            }
            for pixel in (0..g.small.pixels()).step_by(chunk) {
                let pixels = pixel..g.small.pixels().min(pixel + chunk);
                let pairs = match side {
                    Side::Small => pairs_of_tap(&g, [group / g.kernel[1], group % g.kernel[1]], pixels),
                    Side::Big => pairs_of_row(&g, group, pixels),
                };
                for (taps, pairs) in pairs {
                    let (from, to) =
                        ((taps.start * rows.channels).max(first), (taps.end * rows.channels).min(end));
                    if from >= to {
                        continue;
                    }
                    let run = |&(row, column): &(usize, usize)| Run {
                        a: (row * rows.channels + from - taps.start * rows.channels) * lanes,
                        b: column * lanes * wide,
                        len: batch,
                    };
                    let runs: Vec<_> = pairs.iter().map(run).collect();
                    assert!(runs.iter().all(|r| r.a + (to - from) * lanes <= row_maps.len()));
                    assert!(runs.iter().all(|r| r.b + lanes * wide <= transposed.len()));
                    let block = Block {
                        rows: to - from,
                        vectors,
                        runs: &runs,
                        a: row_maps.as_ptr(),
                        a_row: lanes,
                        a_col: 1,
                        b: transposed.as_ptr().wrapping_add(column),
                        b_row: wide,
                        c: c(from),
                        c_row: wide,
                        accumulate: true,
                    };
                    // SAFETY: the checks above show that A and B are within their buffers. For C
                    // see above.
                    unsafe { dispatch(isa, block) };
                }
            }
        });
    }

    /// Sets the sums to zero.
    pub(crate) fn clear(&mut self) {
        self.begun = false;
    }

    /// Calls `f` with the gradient in the order in which the weights are stored: `[A][B][taps]`.
    /// It is zero if no batch was added.
    pub(crate) fn read(&self, isa: Isa, f: impl FnOnce(&[f32])) {
        let g = &self.geometry;
        if self.begun && self.rows == Side::Small && g.is_linear() && g.big.channels.is_multiple_of(16) {
            return f(&self.sums);
        }
        let mut weights = Buffer::new(g.weights());
        if self.begun && self.is_winograd() {
            let mut taps = Buffer::new(g.taps() * g.big.channels * padded(g.small.channels));
            winograd::fold(isa, g, &self.sums, &mut taps);
            layout::unpack_gradient(isa, g, false, &taps, &mut weights);
        } else if self.begun {
            layout::unpack_gradient(isa, g, self.rows == Side::Small, &self.sums, &mut weights);
        } else {
            weights.fill(0.);
        }
        f(&weights);
    }
}

/// Taps of one row of the kernel, and the pairs of pixels that they connect (first on the side of
/// the rows, then on the side of the columns). The first pixel of a pair is the one under the
/// first of these taps.
type Pairs = (Range<usize>, Vec<(usize, usize)>);

/// The pairs of a single tap, for some rows of the small image.
fn pairs_of_tap(g: &Geometry, [ky, kx]: [usize; 2], pixels: Range<usize>) -> Vec<Pairs> {
    let under = |axis: usize, at: usize, tap: usize| {
        let (taps, first) = g.taps_within(axis, at);
        taps.contains(&tap).then(|| first + tap - taps.start)
    };
    let pair = |p: usize| {
        let (y, x) = (under(0, p / g.small.width, ky)?, under(1, p % g.small.width, kx)?);
        Some((p, y * g.big.width + x))
    };
    vec![(0..1, pixels.filter_map(pair).collect())]
}

/// The pairs of a row of taps, for some rows of the big image. The pixels of the small image are
/// grouped by the taps that fall on the big one.
fn pairs_of_row(g: &Geometry, ky: usize, pixels: Range<usize>) -> Vec<Pairs> {
    let mut found: Vec<Pairs> = vec![];
    for p in pixels {
        let (rows, top) = g.taps_within(0, p / g.small.width);
        let (taps, left) = g.taps_within(1, p % g.small.width);
        if !rows.contains(&ky) || taps.is_empty() {
            continue;
        }
        let pair = ((top + ky - rows.start) * g.big.width + left, p);
        match found.iter_mut().find(|(range, _)| *range == taps) {
            Some((_, pairs)) => pairs.push(pair),
            None => found.push((taps, vec![pair])),
        }
    }
    found
}
