//! Precision, recall, density and coverage, from two sets of points and a ball around each point.

use crate::neighbours::{LANES, Tile, Tiling, any_above, each_tile, squared_radii};
use crate::rows::{Rows, row, squared_distance};
use crate::{MetricsError, Result};
use candle_core::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Points with a ball around each. The radius of a ball is the distance to the k-th nearest other
/// point. All balls together stand for the distribution of the points.
///
/// `new` compares all points with each other, which takes long. So keep the manifold of the real
/// images.
#[derive(Debug, Clone)]
pub struct Manifold {
    points: Rows,
    k: usize,
    squared_radii: Vec<f64>,
}

/// How two manifolds overlap. A point is within a ball if its distance to the centre is below the
/// radius.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Share of the generated points within some real ball (Kynkäänniemi et al. 2019, arXiv
    /// 1904.06991).
    pub precision: f64,
    /// Share of the real points within some generated ball (same source as `precision`).
    pub recall: f64,
    /// Number of real balls around a generated point, on average, divided by k. It is about 1 for
    /// two sets from one distribution, and it may be above 1 (Naeem et al. 2020, arXiv
    /// 2002.09797).
    pub density: f64,
    /// Share of the real balls that hold a generated point (same source as `density`).
    pub coverage: f64,
}

impl Manifold {
    /// Computes the balls around `points: [N, D]`. The radius is the distance to the `k`-th
    /// nearest other point. The papers use 3 or 5.
    ///
    /// # Errors
    /// `k` of 0; at most `k` points; another type or rank; numbers that are not finite.
    pub fn new(points: &Tensor, k: usize) -> Result<Self> {
        Self::of_rows(Rows::new("points", points, 1)?, k)
    }

    pub(crate) fn of_rows(points: Rows, k: usize) -> Result<Self> {
        Self::tiled(points, k, Tiling::default())
    }

    fn tiled(points: Rows, k: usize, tiling: Tiling) -> Result<Self> {
        if k == 0 {
            return Err(MetricsError::input("neighbours", "at least 1", k));
        }
        if points.count() <= k {
            let expected = format!("more than the {k} neighbours of each");
            return Err(MetricsError::input("points of a manifold", expected, points.count()));
        }
        let squared_radii = squared_radii(&points, k, tiling)?;
        Ok(Self { points, k, squared_radii })
    }

    /// The radius of each point's ball.
    pub fn radii(&self) -> impl Iterator<Item = f64> {
        self.squared_radii.iter().map(|squared| squared.sqrt())
    }

    /// Compares `self`, the manifold of real images, with the manifold of generated ones. The
    /// numbers of points may differ.
    ///
    /// # Errors
    /// Points of another D.
    pub fn overlap(&self, generated: &Self) -> Result<Overlap> {
        self.overlap_tiled(generated, Tiling::default())
    }

    fn overlap_tiled(&self, generated: &Self, tiling: Tiling) -> Result<Overlap> {
        generated.points.check_width("generated points", self.points.width())?;
        let none = || (0..self.points.count()).map(|_| AtomicBool::new(false)).collect();
        let pairs = Pairs {
            real: self,
            generated,
            real_values: &self.points.values(),
            generated_values: &generated.points.values(),
            covered: none(),
            recalled: none(),
        };
        let mut balls = vec![0; generated.points.count()];
        each_tile(&generated.points, &self.points, tiling, |tile| {
            let balls = &mut balls[tile.first_query..][..tile.queries()];
            let groups = balls.par_chunks_mut(LANES).enumerate();
            groups.for_each(|(group, balls)| pairs.visit(tile, group, balls));
        })?;
        let share = |set: &[AtomicBool]| {
            set.iter().filter(|flag| flag.load(Relaxed)).count() as f64 / set.len() as f64
        };
        Ok(Overlap {
            precision: balls.iter().filter(|&&balls| balls > 0).count() as f64 / balls.len() as f64,
            recall: share(&pairs.recalled),
            density: balls.iter().sum::<u64>() as f64 / (self.k * balls.len()) as f64,
            coverage: share(&pairs.covered),
        })
    }
}

/// Pairs of a generated and a real point, and flags that they set for the real points. Threads
/// only set flags and never clear them, so the order of the threads does not matter.
struct Pairs<'a> {
    real: &'a Manifold,
    generated: &'a Manifold,
    real_values: &'a [f32],
    generated_values: &'a [f32],
    /// Whether a generated point is within the ball of this real point.
    covered: Vec<AtomicBool>,
    /// Whether this real point is within the ball of a generated point.
    recalled: Vec<AtomicBool>,
}

impl Pairs<'_> {
    /// Counts the real balls around each of a group of generated points (the tile's queries), and
    /// sets the flags.
    fn visit(&self, tile: &Tile<'_>, group: usize, balls: &mut [u64]) {
        let (width, lanes, first_lane) = (self.real.points.width(), balls.len(), group * LANES);
        let first_query = tile.first_query + first_lane;
        // No value in the padding is above its bound.
        let bounds = |bound: &dyn Fn(usize) -> f32| {
            let mut bounds = [f32::INFINITY; LANES];
            (0..lanes).for_each(|lane| bounds[lane] = bound(lane));
            bounds
        };
        let own = |lane: usize| self.generated.squared_radii[first_query + lane];
        let perhaps_recalled = bounds(&|lane| tile.perhaps_within(first_lane + lane, own(lane)));
        let surely_recalled = bounds(&|lane| tile.surely_within(first_lane + lane, own(lane)));
        let perhaps_at = bounds(&|lane| tile.perhaps_within(first_lane + lane, 0.));
        let surely_at = bounds(&|lane| tile.surely_within(first_lane + lane, 0.));

        for point in 0..tile.points {
            let (products, real) = (tile.group(point, group), tile.first_point + point);
            let squared = |lane: usize| {
                let generated = row(self.generated_values, width, first_query + lane);
                squared_distance(generated, row(self.real_values, width, real))
            };

            let radius = self.real.squared_radii[real];
            // A product may be lower by half of the squared radius. The factors leave room for the
            // rounding of this number and of the sum.
            let [more, less] = [1., -1.].map(|sign| (0.5 + sign * f64::from(f32::EPSILON)) * radius);
            let perhaps = products.map(|product| product + more as f32);
            if any_above(&perhaps, &perhaps_at) {
                for (lane, balls) in balls.iter_mut().enumerate() {
                    let surely = products[lane] + less as f32 > surely_at[lane];
                    if surely || perhaps[lane] > perhaps_at[lane] && squared(lane) < radius {
                        *balls += 1;
                        self.covered[real].store(true, Relaxed);
                    }
                }
            }

            if any_above(products, &perhaps_recalled) && !self.recalled[real].load(Relaxed) {
                let within = |lane: usize| {
                    let surely = products[lane] > surely_recalled[lane];
                    surely || products[lane] > perhaps_recalled[lane] && squared(lane) < own(lane)
                };
                if (0..lanes).any(within) {
                    self.recalled[real].store(true, Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
