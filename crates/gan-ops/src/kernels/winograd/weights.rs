//! The gradient of the weights of a convolution with kernel 4, stride 2 and padding 1, computed
//! with fewer multiplications.
//!
//! For each tile, [`super::products`] computes `result = A^T [(G w G^T) . (B^T x B)] A`. So the
//! gradient of the weights is `G^T [sum over tiles of (A result' A^T) . (B^T x B)] G`. The part in
//! brackets is summed for each point of the transform. It is turned into taps once, when the
//! gradient is read.

use super::combine::{Grid, combine};
use super::{Input, KERNEL, Span, Terms, Way, pairs, terms};
use crate::geometry::Geometry;
use crate::kernels::micro::{Block, Run};
use crate::kernels::simd::{Isa, dispatch};
use crate::kernels::{Buffer, Shared, padded, pool};

/// The factors with which each point takes the gradients of a tile's results, on one axis. The
/// first row is for tiles of two results, the second for tiles of three.
const OUTPUT: [[Terms; 4]; 2] = [
    [&[(0, 1.)], &[(0, 1.), (1, 1.)], &[], &[(1, -1.)]],
    [&[(0, 1.)], &[(0, 1.), (1, 1.), (2, 1.)], &[(0, 1.), (1, -1.), (2, 1.)], &[(2, 1.)]],
];

/// Tiles whose points are multiplied together. Their sums stay in registers meanwhile.
const TILES: usize = 4;

/// Number of floats of the sums: `[point][phase][B][A]`, with A padded.
pub(in crate::kernels) fn sums(g: &Geometry) -> usize {
    16 * 4 * g.big.channels * padded(g.small.channels)
}

/// Adds a batch to `out` if `begun` is set, else overwrites it. `small: [h w][N][A]` (both
/// padded), `big: [H W][B][N]`.
pub(in crate::kernels) fn add(
    isa: Isa,
    g: &Geometry,
    batch: usize,
    [small, big]: [&[f32]; 2],
    begun: bool,
    out: &mut [f32],
) {
    let (lanes, wide) = (padded(batch), padded(g.small.channels));
    let block = lanes * wide;
    assert_eq!((small.len(), big.len()), (g.small.pixels() * block, g.big.len(batch)));
    assert_eq!(out.len(), sums(g));
    let [rows, columns] = [g.small.height, g.small.width].map(Span::cut);
    let tiles: Vec<[Span; 2]> = rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
    let points: Vec<_> = tiles.iter().flat_map(|&tile| pairs(tile).map(move |point| (tile, point))).collect();

    let mut gradients = Buffer::new(points.len() * block);
    let shared = Shared::new(&mut gradients);
    pool::for_each(points.len(), |i| {
        let (tile, point) = points[i];
        // SAFETY: the range is inside `out`; tasks differ in the block.
        let out = unsafe { shared.slice(i * block, block) };
        let sources = gradient_terms(g, tile, point, small, block);
        combine(isa, &sources, Grid { rows: 1, vectors: block / 16, src_row: block }, out);
    });

    let (b, input) = (g.big.channels, Input { way: Way::Down, from: g.big, values: big, batch });
    let shared = Shared::new(out);
    pool::for_each(16 * 4, |task| {
        let (point, phase) = (task / 4, task % 4);
        let with_point: Vec<_> =
            (0..points.len()).filter(|&i| points[i].1 == (point / 4, point % 4)).collect();
        let mut panel = Buffer::new(TILES * b * lanes);
        // SAFETY: the range is inside the sums; tasks differ in the point or the phase.
        let sums = unsafe { shared.slice(task * b * wide, b * wide) };
        if with_point.is_empty() && !begun {
            sums.fill(0.);
        }
        for (chunk, indices) in with_point.chunks(TILES).enumerate() {
            for (&i, panel) in indices.iter().zip(panel.chunks_exact_mut(b * lanes)) {
                let (tile, (y, x)) = points[i];
                let sources = terms(input, tile, [y, x], [phase / 2, phase % 2], 0);
                combine(isa, &sources, Grid { rows: b, vectors: lanes / 16, src_row: lanes }, panel);
            }
            let run = |(t, &i): (usize, &usize)| Run { a: t * b * lanes, b: i * block, len: batch };
            let block = Block {
                rows: b,
                vectors: wide / 16,
                runs: &indices.iter().enumerate().map(run).collect::<Vec<_>>(),
                a: panel.as_ptr(),
                a_row: lanes,
                a_col: 1,
                b: gradients.as_ptr(),
                b_row: wide,
                c: sums.as_mut_ptr(),
                c_row: wide,
                accumulate: begun || chunk > 0,
            };
            // SAFETY: the panel has `TILES` blocks of `b` rows of `lanes`. The gradients have
            // blocks of `lanes` rows of `wide`, of which `batch <= lanes` are read. The sums have
            // `b` rows of `wide`.
            unsafe { dispatch(isa, block) };
        }
    });
}

/// The gradients of a tile's results that one point needs, each with its factor.
fn gradient_terms<'a>(
    g: &Geometry,
    tile: [Span; 2],
    (i, j): (usize, usize),
    small: &'a [f32],
    block: usize,
) -> Vec<(&'a [f32], f32)> {
    let mut sources = vec![];
    for &(r, factor_y) in OUTPUT[tile[0].size - 2][i] {
        for &(c, factor_x) in OUTPUT[tile[1].size - 2][j] {
            let pixel = (tile[0].start + r) * g.small.width + tile[1].start + c;
            sources.push((&small[pixel * block..][..block], factor_y * factor_x));
        }
    }
    sources
}

/// Turns the sums into taps: `[taps][B][A]`, with A padded.
pub(in crate::kernels) fn fold(isa: Isa, g: &Geometry, sums: &[f32], taps: &mut [f32]) {
    let (b, wide) = (g.big.channels, padded(g.small.channels));
    assert_eq!((sums.len(), taps.len()), (self::sums(g), 16 * b * wide));
    let shared = Shared::new(taps);
    pool::for_each(16 * b, |task| {
        let (tap, row) = (task / b, task % b);
        // On each axis, tap k is number k / 2 of the phase k % 2.
        let (phase, within) = ([tap / 4 % 2, tap % 4 % 2], [tap / 4 / 2, tap % 4 / 2]);
        let mut sources = vec![];
        for (i, j) in (0..16).map(|point| (point / 4, point % 4)) {
            let factor =
                |point: usize, tap: usize| KERNEL[point].iter().find(|term| term.0 == tap).map(|term| term.1);
            if let (Some(y), Some(x)) = (factor(i, within[0]), factor(j, within[1])) {
                let at = (((4 * i + j) * 4 + 2 * phase[0] + phase[1]) * b + row) * wide;
                sources.push((&sums[at..at + wide], y * x));
            }
        }
        // SAFETY: the range is inside `taps`; tasks differ in the tap or the row.
        let out = unsafe { shared.slice((tap * b + row) * wide, wide) };
        combine(isa, &sources, Grid { rows: 1, vectors: wide / 16, src_row: wide }, out);
    });
}
