//! The inner loop that all products share. It keeps a tile of `C += A B` in registers.

use super::simd::{Kernel, Lanes};

/// One stretch of the inner dimension: its start in A and in B, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Floats from the tile's first element of A to the start.
    pub(crate) a: usize,
    /// Floats from the tile's first element of B to the start.
    pub(crate) b: usize,
    /// Number of steps. Each step takes one column of A and one row of B.
    pub(crate) len: usize,
}

/// A block of C with `rows` rows and `16 * vectors` columns:
/// `C[r][j] (+)= sum over runs and k of A[r, k] * B[k][j]`.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) rows: usize,
    pub(crate) vectors: usize,
    pub(crate) runs: &'a [Run],
    pub(crate) a: *const f32,
    /// Floats from one row of A to the next.
    pub(crate) a_row: usize,
    /// Floats from one column of A to the next.
    pub(crate) a_col: usize,
    pub(crate) b: *const f32,
    /// Floats from one row of B to the next.
    pub(crate) b_row: usize,
    pub(crate) c: *mut f32,
    /// Floats from one row of C to the next.
    pub(crate) c_row: usize,
    /// Whether to add to C instead of overwriting it.
    pub(crate) accumulate: bool,
}

impl Kernel for Block<'_> {
    type Output = ();

    /// # Safety
    /// The processor has the instructions of `V`. Every element that `rows`, `vectors` and `runs`
    /// name is inside the buffers of A, B and C, and no other thread uses these elements of C.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let mut done = 0;
            while done < self.vectors {
                let wide = (self.vectors - done).min(V::TILE_ROWS.len());
                let columns = Block { b: self.b.add(16 * done), c: self.c.add(16 * done), ..self };
                match wide {
                    1 => columns.rows::<V, 1>(),
                    2 => columns.rows::<V, 2>(),
                    3 => columns.rows::<V, 3>(),
                    _ => columns.rows::<V, 4>(),
                }
                done += wide;
            }
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    unsafe fn rows<V: Lanes, const N: usize>(self) {
        if N > V::TILE_ROWS.len() {
            return;
        }
        let most = V::TILE_ROWS[N - 1];
        let mut row = 0;
        while row < self.rows {
            let high = (self.rows - row).min(most);
            // SAFETY: these rows are a part of the caller's rows.
            unsafe {
                let tile = Block { a: self.a.add(row * self.a_row), c: self.c.add(row * self.c_row), ..self };
                tile.tile_of::<V, N>(high);
            }
            row += high;
        }
    }

    #[inline(always)]
    unsafe fn tile_of<V: Lanes, const N: usize>(&self, rows: usize) {
        macro_rules! tiles {
            ($($r:literal)*) => {
                match rows {
                    // SAFETY: the caller guarantees the conditions of `run`. A height that never
                    // occurs with this width is not compiled.
                    $($r if $r <= V::TILE_ROWS[N - 1] => unsafe { self.tile::<V, $r, N>() },)*
                    _ => {}
                }
            };
        }
        tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    // Closures and iterators would be separate functions, without the vector instructions of this
    // function's caller.
    #[inline(always)]
    unsafe fn tile<V: Lanes, const M: usize, const N: usize>(&self) {
        // SAFETY: the caller guarantees the conditions of `run`.
        unsafe {
            let mut sums = [[V::splat(0.); N]; M];
            for (i, run) in self.runs.iter().enumerate() {
                if let Some(next) = self.runs.get(i + 1) {
                    for r in 0..M {
                        let row = self.a.wrapping_add(next.a + r * self.a_row);
                        for line in 0..4 {
                            V::prefetch(row.wrapping_add(16 * line));
                        }
                    }
                }
                let mut a = [self.a.add(run.a); M];
                for i in 1..M {
                    a[i] = a[i - 1].wrapping_add(self.a_row);
                }
                let mut b = self.b.add(run.b);
                for _ in 0..run.len {
                    let mut row = [V::splat(0.); N];
                    for j in 0..N {
                        row[j] = V::load(b.add(16 * j));
                    }
                    for i in 0..M {
                        let factor = V::splat(*a[i]);
                        a[i] = a[i].wrapping_add(self.a_col);
                        for j in 0..N {
                            sums[i][j] = factor.mul_add(row[j], sums[i][j]);
                        }
                    }
                    b = b.wrapping_add(self.b_row);
                }
            }
            for i in 0..M {
                for j in 0..N {
                    let c = self.c.add(i * self.c_row + 16 * j);
                    if self.accumulate {
                        sums[i][j] = sums[i][j].add(V::load(c));
                    }
                    sums[i][j].store(c);
                }
            }
        }
    }
}
