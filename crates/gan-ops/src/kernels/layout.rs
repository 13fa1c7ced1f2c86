//! Changes of the order in memory: NCHW and back, weights for the kernels and back, and transposed
//! panels.

use super::simd::{Isa, Kernel, Lanes, dispatch};
use super::{Shared, padded, pool};
use crate::geometry::Geometry;

/// Transposes a matrix of `rows` x `columns` floats. Rows of `src` are `src_row` floats apart, and
/// rows of `dst` are `dst_row` apart.
struct Transpose {
    rows: usize,
    columns: usize,
    src: *const f32,
    src_row: usize,
    dst: *mut f32,
    dst_row: usize,
}

impl Kernel for Transpose {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. Both matrices are within their buffers, and no
    /// other thread uses the matrix of `dst`.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { rows, columns, src, src_row, dst, dst_row } = self;
        let (whole_rows, whole_columns) = (rows / 16 * 16, columns / 16 * 16);
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            for i in (0..whole_rows).step_by(16) {
                for j in (0..whole_columns).step_by(16) {
                    V::transpose(src.add(i * src_row + j), src_row, dst.add(j * dst_row + i), dst_row);
                }
            }
            for i in 0..rows {
                for j in if i < whole_rows { whole_columns } else { 0 }..columns {
                    *dst.add(j * dst_row + i) = *src.add(i * src_row + j);
                }
            }
        }
    }
}

/// Transposes `src: [rows][src_row]` into `dst: [columns][dst_row]`. Only the first `columns` of a
/// row of `src` are read.
fn transpose(
    isa: Isa,
    [rows, columns]: [usize; 2],
    src: &[f32],
    src_row: usize,
    dst: &mut [f32],
    dst_row: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= src_row && (rows - 1) * src_row + columns <= src.len());
    assert!(rows <= dst_row && (columns - 1) * dst_row + rows <= dst.len());
    let (src, dst) = (src.as_ptr(), dst.as_mut_ptr());
    // SAFETY: both extents were checked.
    unsafe { dispatch(isa, Transpose { rows, columns, src, src_row, dst, dst_row }) }
}

/// Copies `[N][C][H W]` into `[H W][C][N]`, and fills the padding of N with zeros.
pub(crate) fn from_nchw(isa: Isa, nchw: &[f32], maps: &mut [f32], [batch, channels, pixels]: [usize; 3]) {
    let lanes = padded(batch);
    assert_eq!((nchw.len(), maps.len()), (batch * channels * pixels, lanes * channels * pixels));
    if maps.is_empty() {
        return;
    }
    // A task takes sixteen pixels of a channel, so rows have 64 bytes on both sides.
    let blocks = pixels.div_ceil(16);
    let shared = Shared::new(maps);
    pool::for_each(channels * blocks, |task| {
        let (channel, pixel) = (task / blocks, task % blocks * 16);
        let wide = 16.min(pixels - pixel);
        let mut block = [0.; 16 * 16];
        for n in (0..lanes).step_by(16) {
            let rows = batch.saturating_sub(n).min(16);
            if rows < 16 {
                block.fill(0.);
            }
            if rows > 0 {
                let from = (n * channels + channel) * pixels + pixel;
                transpose(isa, [rows, wide], &nchw[from..], channels * pixels, &mut block, 16);
            }
            for (p, column) in block.chunks_exact(16).take(wide).enumerate() {
                let at = ((pixel + p) * channels + channel) * lanes + n;
                // SAFETY: the offset is in range because pixel, channel and n are. Tasks differ in
                // the channel or the pixels.
                unsafe { shared.slice(at, 16) }.copy_from_slice(column);
            }
        }
    });
}

/// Copies `[H W][C][N]` into `[N][C][H W]`.
pub(crate) fn to_nchw(isa: Isa, maps: &[f32], nchw: &mut [f32], [batch, channels, pixels]: [usize; 3]) {
    let lanes = padded(batch);
    assert_eq!((nchw.len(), maps.len()), (batch * channels * pixels, lanes * channels * pixels));
    let shared = Shared::new(nchw);
    let blocks = batch.div_ceil(16);
    pool::for_each(channels * blocks, |task| {
        let (channel, first) = (task / blocks, task % blocks * 16);
        let count = 16.min(batch - first);
        let mut block = [0.; 16 * 16];
        for pixel in (0..pixels).step_by(16) {
            let wide = 16.min(pixels - pixel);
            let from = (pixel * channels + channel) * lanes + first;
            transpose(isa, [wide, count], &maps[from..], channels * lanes, &mut block, 16);
            for (n, row) in block.chunks_exact(16).take(count).enumerate() {
                let at = ((first + n) * channels + channel) * pixels + pixel;
                // SAFETY: the offset is in range because sample, channel and pixels are. Tasks
                // differ in the channel or the samples.
                unsafe { shared.slice(at, wide) }.copy_from_slice(&row[..wide]);
            }
        }
    });
}

/// Copies `[pixels][C][N]` into `[pixels][N][C]`, with C padded to whole vectors by zeros.
pub(super) fn samples_first(isa: Isa, maps: &[f32], out: &mut [f32], [batch, channels, pixels]: [usize; 3]) {
    let (lanes, wide) = (padded(batch), padded(channels));
    assert_eq!((maps.len(), out.len()), (pixels * channels * lanes, pixels * lanes * wide));
    let blocks = channels.div_ceil(64);
    let shared = Shared::new(out);
    pool::for_each(pixels * blocks, |task| {
        let (pixel, first) = (task / blocks, task % blocks * 64);
        let count = 64.min(channels - first);
        let src = &maps[(pixel * channels + first) * lanes..][..count * lanes];
        let len = (lanes - 1) * wide + padded(count);
        // SAFETY: the offset is in range; tasks differ in the pixel or in the columns.
        let dst = unsafe { shared.at(pixel * lanes * wide + first, len) };
        let (src, src_row) = (src.as_ptr(), lanes);
        // SAFETY: `src` was cut to its extent; for `dst` see above.
        unsafe { dispatch(isa, Transpose { rows: count, columns: lanes, src, src_row, dst, dst_row: wide }) };
        for n in 0..lanes {
            for c in count..padded(count) {
                // SAFETY: as above; the padding of the last channels belongs to this task.
                unsafe { *dst.add(n * wide + c) = 0. }
            }
        }
    });
}

/// Copies weights `[A][B][taps]` into `[A][taps][B]`, the order of [`super::conv::down`].
pub(crate) fn pack_down(isa: Isa, g: &Geometry, weights: &[f32], packed: &mut [f32]) {
    assert_eq!((weights.len(), packed.len()), (g.weights(), g.weights()));
    let (taps, b) = (g.taps(), g.big.channels);
    let shared = Shared::new(packed);
    pool::for_each(g.small.channels, |a| {
        let at = a * b * taps;
        // SAFETY: the offset is in range; tasks differ in a.
        let row = unsafe { shared.slice(at, b * taps) };
        transpose(isa, [b, taps], &weights[at..at + b * taps], taps, row, b);
    });
}

/// Copies weights `[A][B][taps]` into `[phase y][phase x][B][taps of the phase][A]`, the order of
/// [`super::conv::up`]. A phase is the set of taps of one axis with the same remainder modulo the
/// stride. Its taps are in falling order, so that the pixels of the small image are in rising
/// order.
pub(crate) fn pack_up(isa: Isa, g: &Geometry, weights: &[f32], packed: &mut [f32]) {
    assert_eq!((weights.len(), packed.len()), (g.weights(), g.weights()));
    let (taps, a, b) = (g.taps(), g.small.channels, g.big.channels);
    let shared = Shared::new(packed);
    pool::for_each(b, |channel| {
        let mut by_tap = super::Buffer::new(taps * a);
        transpose(isa, [a, taps], &weights[channel * taps..], b * taps, &mut by_tap, a);
        for (tap, values) in by_tap.chunks_exact(a).enumerate() {
            let tap = [tap / g.kernel[1], tap % g.kernel[1]];
            let phase = tap.map(|t| t % g.stride);
            let [high, wide] = [0, 1].map(|axis| g.phase_taps(axis, phase[axis]));
            let [ty, tx] = [high - 1 - tap[0] / g.stride, wide - 1 - tap[1] / g.stride];
            let at = g.phase_start(phase) + ((channel * high + ty) * wide + tx) * a;
            // SAFETY: the phases partition the taps, so the offset is in range. Tasks differ in
            // the channel.
            unsafe { shared.slice(at, a) }.copy_from_slice(values);
        }
    });
}

/// Copies sums `[taps][rows][columns]`, the columns padded, into weights `[A][B][taps]`. The rows
/// are A's if `small_rows`, else B's.
pub(super) fn unpack_gradient(isa: Isa, g: &Geometry, small_rows: bool, sums: &[f32], weights: &mut [f32]) {
    let (taps, a, b) = (g.taps(), g.small.channels, g.big.channels);
    let (rows, columns) = if small_rows { (a, b) } else { (b, a) };
    let wide = padded(columns);
    assert_eq!((sums.len(), weights.len()), (taps * rows * wide, g.weights()));
    let shared = Shared::new(weights);
    pool::for_each(rows, |row| {
        // This is [taps][columns], which is transposed.
        let src = &sums[row * wide..];
        if small_rows {
            // SAFETY: the offset is in range; tasks differ in A.
            let dst = unsafe { shared.slice(row * b * taps, b * taps) };
            if taps == 1 {
                return dst.copy_from_slice(&src[..b]);
            }
            transpose(isa, [taps, b], src, rows * wide, dst, taps);
        } else {
            // SAFETY: the offset is in range; tasks differ in B, and each task writes its B for
            // all of A.
            let dst = unsafe { shared.at(row * taps, (a - 1) * b * taps + taps) };
            assert!((taps - 1) * rows * wide + a <= src.len());
            let (src, src_row) = (src.as_ptr(), rows * wide);
            // SAFETY: the extent of `src` was checked; for `dst` see above.
            unsafe {
                dispatch(isa, Transpose { rows: taps, columns: a, src, src_row, dst, dst_row: b * taps });
            };
        }
    });
}
