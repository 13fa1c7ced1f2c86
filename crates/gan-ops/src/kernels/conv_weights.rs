//! The gradient of a convolution's weights.

use super::conv::{Geometry, Image};
use super::micro::{Block, Run};
use super::simd::{Isa, dispatch};
use super::{Buffer, Shared, layout, padded, pool};

/// The gradient of one layer's weights, summed over the batches it has seen, in the order in which the kernel computes
/// it: `[taps][rows][columns]` with the columns padded to whole vectors.
#[derive(Debug)]
pub(crate) struct WeightGradient {
    geometry: Geometry,
    rows: Side,
    columns: Side,
    sums: Buffer,
    /// Whether `sums` holds anything yet.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Small,
    Big,
}

/// Floats of the transposed columns that one pass over the rows reads: half a second-level cache of a megabyte.
const PANEL: usize = 64 * 1024;

/// Columns that one task takes: the widest tile there is.
const COLUMNS: usize = 64;

impl WeightGradient {
    pub(crate) fn new(geometry: Geometry) -> Self {
        // A linear layer's sums are then its weights' gradient as it is stored; else the wider side fills vectors.
        let small_rows = geometry.is_linear() || geometry.small.channels < geometry.big.channels;
        let (rows, columns) = if small_rows { (Side::Small, Side::Big) } else { (Side::Big, Side::Small) };
        let mut gradient = Self { geometry, rows, columns, sums: Buffer::default(), begun: false };
        let columns = padded(gradient.image(columns).channels);
        gradient.sums = Buffer::new(geometry.taps() * gradient.image(rows).channels * columns);
        gradient
    }

    fn image(&self, side: Side) -> Image {
        match side {
            Side::Small => self.geometry.small,
            Side::Big => self.geometry.big,
        }
    }

    /// Adds `sum over p and n of small[p][a][n] * big[p * stride - padding + tap][b][n]` for each a, b and tap.
    ///
    /// `small: [h][w][A][N]`, `big: [H][W][B][N]`.
    pub(crate) fn add(&mut self, isa: Isa, batch: usize, small: &[f32], big: &[f32]) {
        let g = self.geometry;
        assert_eq!((big.len(), small.len()), (g.big.len(batch), g.small.len(batch)));
        let (row_maps, column_maps) = if self.rows == Side::Small { (small, big) } else { (big, small) };
        let (rows, columns) = (self.image(self.rows), self.image(self.columns));
        let (lanes, wide) = (padded(batch), padded(columns.channels));
        let mut transposed = Buffer::new(columns.pixels() * lanes * wide);
        layout::samples_first(isa, column_maps, &mut transposed, [batch, columns.channels, columns.pixels()]);

        let slices = wide.div_ceil(COLUMNS);
        // Tasks enough for a few threads, in whole tiles of rows.
        let height = rows.channels.div_ceil(16usize.div_ceil(g.kernel[0] * slices)).next_multiple_of(12);
        let parts = rows.channels.div_ceil(height);
        let pixels = (PANEL / (batch * COLUMNS)).max(1);
        let begun = std::mem::replace(&mut self.begun, true);
        let row_side = self.rows;
        let sums = Shared::new(&mut self.sums);
        pool::for_each(g.kernel[0] * slices * parts, |task| {
            let (ky, slice, part) = (task / (slices * parts), task / parts % slices, task % parts);
            let (channel, column) = (part * height, slice * COLUMNS);
            let (height, vectors) = (height.min(rows.channels - channel), (wide - column).min(COLUMNS) / 16);
            for (chunk, first) in (0..g.small.pixels()).step_by(pixels).enumerate() {
                for kx in 0..g.kernel[1] {
                    // A (row's pixel) and B (column's pixel) for each pixel of the small image that has this tap.
                    let run = |p: usize| {
                        let big = pixel_under(&g, p, [ky, kx])?;
                        let (a, b) = if row_side == Side::Small { (p, big) } else { (big, p) };
                        Some(Run { a: a * rows.channels * lanes, b: b * lanes * wide, len: batch })
                    };
                    let runs: Vec<_> =
                        (first..g.small.pixels().min(first + pixels)).filter_map(run).collect();
                    let end = |r: &Run| (r.a + (channel + height) * lanes, r.b + (batch - 1) * wide + wide);
                    assert!(runs.iter().all(|r| end(r).0 <= row_maps.len() && end(r).1 <= transposed.len()));
                    let at = ((ky * g.kernel[1] + kx) * rows.channels + channel) * wide + column;
                    let block = Block {
                        rows: height,
                        vectors,
                        runs: &runs,
                        a: row_maps.as_ptr().wrapping_add(channel * lanes),
                        a_row: lanes,
                        a_col: 1,
                        b: transposed.as_ptr().wrapping_add(column),
                        b_row: wide,
                        // SAFETY: tap, rows and columns lie within the sums; tasks differ in at least one of them.
                        c: unsafe { sums.at(at, (height - 1) * wide + 16 * vectors) },
                        c_row: wide,
                        accumulate: begun || chunk > 0,
                    };
                    // SAFETY: A and B were checked to lie within their buffers; for C see above.
                    unsafe { dispatch(isa, block) };
                }
            }
        });
    }

    /// Back to zero.
    pub(crate) fn clear(&mut self) {
        self.begun = false;
    }

    /// Calls `f` with the gradient as the weights are stored: `[A][B][taps]`. Zero if no batch was added.
    pub(crate) fn read(&self, isa: Isa, f: impl FnOnce(&[f32])) {
        let g = &self.geometry;
        if self.begun && self.rows == Side::Small && g.is_linear() && g.big.channels.is_multiple_of(16) {
            return f(&self.sums);
        }
        let mut weights = Buffer::new(g.weights());
        if self.begun {
            layout::unpack_gradient(isa, g, self.rows == Side::Small, &self.sums, &mut weights);
        } else {
            weights.fill(0.);
        }
        f(&weights);
    }
}

/// The pixel of the big image under one tap of a kernel placed at `pixel` of the small one.
fn pixel_under(g: &Geometry, pixel: usize, tap: [usize; 2]) -> Option<usize> {
    let on = |axis: usize, at: usize, size: usize| {
        (at * g.stride + tap[axis]).checked_sub(g.padding).filter(|&i| i < size)
    };
    let y = on(0, pixel / g.small.width, g.big.height)?;
    let x = on(1, pixel % g.small.width, g.big.width)?;
    Some(y * g.big.width + x)
}
