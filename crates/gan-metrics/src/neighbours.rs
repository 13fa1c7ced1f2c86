//! Nearest neighbours among all points. The results are exact, in f64.

mod tiles;

use crate::Result;
use crate::rows::{Rows, row, squared_distance};
use candle_core::Tensor;
use rayon::prelude::*;
pub(crate) use tiles::{LANES, Tile, Tiling, each_tile};

/// The point that is nearest to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its row.
    pub index: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// Finds the nearest of `points: [M, D]` to each of `queries: [N, D]`. If several points are
/// equally near, it is the first of them.
///
/// # Errors
/// Another type or rank, different D, no rows, numbers that are not finite.
pub fn nearest(queries: &Tensor, points: &Tensor) -> Result<Vec<Neighbour>> {
    let (queries, points) = (Rows::new("queries", queries, 1)?, Rows::new("points", points, 1)?);
    points.check_width("points", queries.width())?;
    let found = search(&queries, &points, 1, Candidates::All, Tiling::default())?;
    Ok(found.into_iter().map(Neighbour::from).collect())
}

/// Finds the nearest other point to each of `points: [N, D]`. If several points are equally near,
/// it is the first of them.
///
/// # Errors
/// Another type or rank, fewer than two rows, numbers that are not finite.
pub fn nearest_others(points: &Tensor) -> Result<Vec<Neighbour>> {
    let points = Rows::new("points", points, 2)?;
    let found = search(&points, &points, 1, Candidates::Others, Tiling::default())?;
    Ok(found.into_iter().map(Neighbour::from).collect())
}

/// The distances that [`nearest`] finds, for rows of equal width.
pub(crate) fn distances(queries: &Rows, points: &Rows) -> Result<Vec<f64>> {
    let found = search(queries, points, 1, Candidates::All, Tiling::default())?;
    Ok(found.iter().map(|found| found.squared.sqrt()).collect())
}

/// The distance of each query to the nearest other point. Each query is itself one of the points.
pub(crate) fn distances_to_others(queries: &Rows, points: &Rows) -> Result<Vec<f64>> {
    // The nearest of the two is the query itself, or a point equal to it.
    let found = search(queries, points, 2, Candidates::All, Tiling::default())?;
    Ok(found.chunks_exact(2).map(|nearest| nearest[1].squared.sqrt()).filter(|d| d.is_finite()).collect())
}

/// Returns the square of each row's distance to the `k`-th nearest other row. `k` is below the
/// number of rows.
pub(crate) fn squared_radii(rows: &Rows, k: usize, tiling: Tiling) -> Result<Vec<f64>> {
    let found = search(rows, rows, k, Candidates::Others, tiling)?;
    Ok(found.chunks_exact(k).map(|nearest| nearest[k - 1].squared).collect())
}

/// The points among which a query looks for its neighbours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Candidates {
    All,
    /// The queries are the points, and no point is its own neighbour.
    Others,
}

#[derive(Clone, Copy)]
struct Found {
    squared: f64,
    index: usize,
}

impl From<Found> for Neighbour {
    fn from(found: Found) -> Self {
        Self { index: found.index, distance: found.squared.sqrt() }
    }
}

/// Finds the `k` nearest points to each query, the nearest first. Equally near points stay in
/// their order.
fn search(
    queries: &Rows,
    points: &Rows,
    k: usize,
    candidates: Candidates,
    tiling: Tiling,
) -> Result<Vec<Found>> {
    let mut found = vec![Found { squared: f64::INFINITY, index: usize::MAX }; queries.count() * k];
    let search =
        Search { queries: &queries.values(), points: &points.values(), width: points.width(), k, candidates };
    each_tile(queries, points, tiling, |tile| {
        let found = &mut found[tile.first_query * k..][..tile.queries() * k];
        let groups = found.par_chunks_mut(LANES * k).enumerate();
        groups.for_each(|(group, found)| search.visit(tile, group, found));
    })?;
    Ok(found)
}

struct Search<'a> {
    queries: &'a [f32],
    points: &'a [f32],
    width: usize,
    k: usize,
    candidates: Candidates,
}

impl Search<'_> {
    /// Merges the points of this tile into `found`, the nearest points so far for one group of its
    /// queries.
    fn visit(&self, tile: &Tile<'_>, group: usize, found: &mut [Found]) {
        let Self { width, k, .. } = *self;
        let bound = |lane: usize, found: &[Found]| match found[k - 1].squared {
            // No point can be nearer. Without this bound, each of a thousand equal points would be
            // checked.
            0. => f32::INFINITY,
            farthest => tile.perhaps_within(group * LANES + lane, farthest),
        };
        // The values in the padding belong to no query.
        let mut bounds = [f32::INFINITY; LANES];
        for (lane, found) in found.chunks_exact(k).enumerate() {
            bounds[lane] = bound(lane, found);
        }
        for point in 0..tile.points {
            let products = tile.group(point, group);
            if !any_above(products, &bounds) {
                continue;
            }
            let index = tile.first_point + point;
            for (lane, found) in found.chunks_exact_mut(k).enumerate() {
                let query = tile.first_query + group * LANES + lane;
                let itself = self.candidates == Candidates::Others && query == index;
                if products[lane] > bounds[lane] && !itself {
                    let squared =
                        squared_distance(row(self.queries, width, query), row(self.points, width, index));
                    let at = found.partition_point(|other| other.squared <= squared);
                    if at < k {
                        found[at..].rotate_right(1);
                        found[at] = Found { squared, index };
                        bounds[lane] = bound(lane, found);
                    }
                }
            }
        }
    }
}

/// Whether some value is above its bound. There is no early exit, so it compiles to a few vector
/// instructions.
pub(crate) fn any_above(values: &[f32; LANES], bounds: &[f32; LANES]) -> bool {
    let mut above = 0;
    for lane in 0..LANES {
        above |= u32::from(values[lane] > bounds[lane]);
    }
    above != 0
}

#[cfg(test)]
mod tests;
