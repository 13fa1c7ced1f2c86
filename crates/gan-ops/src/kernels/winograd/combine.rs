//! The vector operations of a transform: linear combinations.

use crate::kernels::simd::{Isa, Kernel, Lanes, dispatch};

/// Rows of vectors of sixteen. The rows of a source are `src_row` floats apart.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) vectors: usize,
    pub(super) src_row: usize,
}

/// Computes `out = sum of factor * source` for at most nine sources.
pub(super) fn combine(isa: Isa, terms: &[(&[f32], f32)], grid: Grid, out: &mut [f32]) {
    let Grid { rows, vectors, src_row } = grid;
    if rows * vectors == 0 {
        return;
    }
    assert!(out.len() == rows * 16 * vectors && terms.len() <= 9);
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
    /// The processor has the instructions of `V`. Sources and output have the extent of the grid,
    /// and there are at most nine sources.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            match self.terms.len() {
                0 => self.out.fill(0.),
                1 => self.sum::<V, 1>(),
                2 => self.sum::<V, 2>(),
                3 => self.sum::<V, 3>(),
                4 => self.sum::<V, 4>(),
                5 => self.sum::<V, 5>(),
                6 => self.sum::<V, 6>(),
                7 => self.sum::<V, 7>(),
                8 => self.sum::<V, 8>(),
                _ => self.sum::<V, 9>(),
            }
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    unsafe fn sum<V: Lanes, const T: usize>(self) {
        let Grid { rows, vectors, src_row } = self.grid;
        let out = self.out.as_mut_ptr();
        // SAFETY: the caller guarantees the conditions of `run`.
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

/// Computes the results of a tile from its 16 points (`[rows][16 * vectors]` each).
pub(super) struct Outputs<'a> {
    pub(super) points: &'a [f32],
    pub(super) rows: usize,
    pub(super) vectors: usize,
    pub(super) sizes: [usize; 2],
    pub(super) out: *mut f32,
    /// Start of each result.
    pub(super) starts: [[usize; 3]; 3],
    /// Floats from one row of a result to the next.
    pub(super) row: usize,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. Points and outputs have the extents that their
    /// fields state, and no other thread uses the outputs.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let block = self.rows * self.vectors * 16;
        for r in 0..self.rows {
            for v in 0..self.vectors {
                // SAFETY: the caller guarantees the conditions of this function.
                unsafe {
                    let at = (r * self.vectors + v) * 16;
                    let zero = V::splat(0.);
                    // The transform is along the first axis, then along the second.
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
                            results[j].store(self.out.add(self.starts[i][j] + r * self.row + 16 * v));
                        }
                    }
                }
            }
        }
    }
}

/// Whether a tile has this point. A tile of two results leaves out the third point.
#[inline(always)]
fn present(sizes: [usize; 2], i: usize, j: usize) -> bool {
    (sizes[0] == 3 || i != 2) && (sizes[1] == 3 || j != 2)
}

/// The results of one axis from its four points.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn results<V: Lanes>(p: [V; 4], size: usize) -> [V; 3] {
    // SAFETY: the caller guarantees the conditions of this function.
    unsafe {
        if size == 2 {
            return [p[0].add(p[1]), p[1].sub(p[3]), p[3]];
        }
        let (sum, difference) = (p[1].add(p[2]), p[1].sub(p[2]));
        [p[0].add(sum), difference, sum.add(p[3])]
    }
}
